package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.MemoryPool;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.testing.NumberForms;
import io.github.jmarlin.testing.TestMatrices;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Memory that was used before: packing writes every byte of it, those that stand for nothing too. */
final class UsedMemoryTest {
    static Stream<Arguments> cases() {
        // The last block holds fewer groups than it has room for, the last strip fewer columns.
        Stream<Arguments> dense = NumberForms.all().map(form -> Arguments.of(form.toString(), 96, form, 0));
        Stream<Arguments> sparse = Stream.of(64, 128, -1).map(groupSize -> Arguments.of("sparse " + groupSize, 192, null, groupSize));
        return Stream.concat(dense, sparse);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void everyByteIsWritten(String name, int k, WeightForm form, int groupSize) {
        try (QuantizedMatrix matrix = form == null ? TestMatrices.sparse(k, 70, groupSize, DataType.FP16, true, 1)
                : TestMatrices.random(k, 70, form, DataType.FP16, true, 1);
                PackedWeights expected = PackedWeights.pack(matrix, DataType.FP16); MemoryPool pool = new MemoryPool()) {
            try (PackedWeights first = StripedPacker.pack(matrix, DataType.FP16, pool)) {
                regions(first).forEach(region -> region.fill((byte) 0x7e));
            }
            try (PackedWeights again = StripedPacker.pack(matrix, DataType.FP16, pool)) {
                for (int i = 0; i < regions(expected).size(); i++) {
                    NativeMemory region = regions(expected).get(i);
                    assertEquals(-1, region.slice(0, (int) region.size()).mismatch(regions(again).get(i).slice(0, (int) region.size())),
                            "region " + i);
                }
            }
        }
    }

    private static List<NativeMemory> regions(PackedWeights packed) {
        return Stream.of(packed.codes(), packed.scales(), packed.zeros(), packed.factors(), packed.bias()).filter(Objects::nonNull)
                .toList();
    }
}
