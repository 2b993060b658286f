package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Properties that every partition must have, over all small ones and a few of real layers. */
class StripesTest {

    static Stream<Stripes> partitions() {
        List<Stripes> all = new ArrayList<>();
        for (int mTiles = 1; mTiles <= 3; mTiles++) {
            for (int nTiles = 1; nTiles <= 4; nTiles++) {
                for (int kBlocks = 1; kBlocks <= 9; kBlocks++) {
                    for (int unitsPerBlock = 1; unitsPerBlock <= 2 * kBlocks * nTiles * mTiles; unitsPerBlock++) {
                        all.add(new Stripes(mTiles, nTiles, kBlocks, unitsPerBlock));
                    }
                }
            }
        }
        all.add(new Stripes(1, 56, 64, 28));
        all.add(new Stripes(3, 112, 448, 1141));
        return all.stream();
    }

    @Test
    void everyUnitHasOneOwner() {
        partitions().forEach(stripes -> {
            int[] owners = new int[stripes.totalUnits()];
            for (int block = 0; block < stripes.grid(); block++) {
                List<Stripes.Portion> portions = stripes.portions(block);
                assertTrue(!portions.isEmpty(), () -> stripes + ": an idle block");
                for (Stripes.Portion portion : portions) {
                    for (int kBlock = portion.firstKBlock(); kBlock < portion.endKBlock(); kBlock++) {
                        owners[portion.tile() * stripes.kBlocks() + kBlock]++;
                    }
                }
            }
            for (int i = 0; i < owners.length; i++) {
                int unit = i;
                assertEquals(1, owners[unit], () -> stripes + " unit " + unit);
            }
        });
    }

    @Test
    void slotsNeverCollideAndReadersFindThem() {
        partitions().forEach(stripes -> {
            Map<Integer, Set<Integer>> slotsOfTile = new HashMap<>();
            Set<Integer> taken = new HashSet<>();
            for (int block = 0; block < stripes.grid(); block++) {
                for (Stripes.Portion portion : stripes.portions(block)) {
                    boolean shared = stripes.arrivals(portion.tile()) > 1;
                    assertEquals(shared, portion.slot() != Stripes.NO_SLOT, () -> stripes + " " + portion);
                    if (shared) {
                        assertTrue(taken.add(portion.slot()), () -> stripes + " slot taken twice: " + portion);
                        assertTrue(portion.slot() < 2 * stripes.grid(), () -> stripes + " slot beyond the workspace: " + portion);
                        assertEquals(stripes.slot(block, portion.tile()), portion.slot(), () -> stripes + " " + portion);
                        slotsOfTile.computeIfAbsent(portion.tile(), tile -> new HashSet<>()).add(portion.slot());
                    }
                }
            }
            for (int tile = 0; tile < stripes.tiles(); tile++) {
                Set<Integer> read = new HashSet<>();
                for (int block = stripes.firstBlock(tile); stripes.arrivals(tile) > 1
                        && block <= stripes.lastBlock(tile); block++) {
                    read.add(stripes.slot(block, tile));
                }
                assertEquals(slotsOfTile.getOrDefault(tile, Set.of()), read, stripes.toString());
            }
        });
    }

    @Test
    void arrivalsAreTheBlocksOfTheTile() {
        partitions().forEach(stripes -> {
            int[] arrivals = new int[stripes.tiles()];
            for (int block = 0; block < stripes.grid(); block++) {
                stripes.portions(block).forEach(portion -> arrivals[portion.tile()]++);
            }
            int most = 0;
            for (int tile = 0; tile < arrivals.length; tile++) {
                assertEquals(arrivals[tile], stripes.arrivals(tile), stripes::toString);
                most = Math.max(most, arrivals[tile]);
            }
            assertTrue(most <= stripes.mostArrivals(), stripes + ": " + most + " arrivals, bound " + stripes.mostArrivals());
            if (stripes.tiles() >= stripes.unitsPerBlock()) {
                assertEquals(most, stripes.mostArrivals(), stripes.toString());
            }
        });
    }

    @Test
    void drawingOfTheClassComment() {
        assertEquals("tile   0 (n 0, m 0):   0   0   0   0\n"
                + "tile   1 (n 1, m 0):   0   1   1   1\n"
                + "tile   2 (n 2, m 0):   1   1   2   2\n", new Stripes(1, 3, 4, 5).drawing());
    }

    @ParameterizedTest
    @MethodSource("outOfRange")
    void refusesWhatTheDeviceCannotCount(int[] values) {
        IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class,
                () -> new Stripes(values[0], values[1], values[2], values[3]));
        for (int value : values) {
            assertTrue(refusal.getMessage().contains(Integer.toString(value)), refusal.getMessage());
        }
    }

    static Stream<int[]> outOfRange() {
        return Stream.of(new int[] {0, 1, 1, 1}, new int[] {1, 0, 1, 1}, new int[] {1, 1, 0, 1}, new int[] {1, 1, 1, 0},
                new int[] {1 << 16, 1 << 15, 1, 1}, new int[] {1 << 20, 1 << 20, 1 << 20, 7},
                new int[] {1, 1, 5, Integer.MAX_VALUE});
    }
}
