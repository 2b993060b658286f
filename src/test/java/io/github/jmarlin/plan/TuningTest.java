package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who decides: options, then the tuning file, then the cost model; and what becomes of files that cannot be used. */
class TuningTest {
    private static final DeviceFacts H200 = PlannerTest.H200;
    private static final WeightShape LAYER = new WeightShape(4096, 14336, 128, DataType.FP16, false);
    /** Nothing that the cost model would choose for 16 rows. */
    private static final PlanOptions ODD = PlanOptions.DEFAULT.withTile(new TileShape(8, 64)).withGrid(77).withStages(3);
    private static final PlanOptions ON_HOPPER = PlanOptions.DEFAULT.withHopperTile(new HopperTile(16, 128, 2, 2)).withStages(5);
    private static final Map<String, String> PROPERTIES = Map.of("user.home", System.getProperty("user.home"),
            TuningFile.PROPERTY, System.getProperty(TuningFile.PROPERTY, TuningFile.OFF));

    @TempDir
    Path folder;

    @AfterEach
    void restoreProperties() {
        PROPERTIES.forEach(System::setProperty);
    }

    /** Striped Hopper tiles with every key there is. */
    private static final PlanOptions PAIR = PlanOptions.DEFAULT.withHopperTile(new HopperTile(64, 256, 2, 1)).withGrid(66)
            .withCut(Stripes.Cut.WHOLE_STAGES);

    private static Tuning tuning(PlanOptions options) {
        return Tuning.NONE.with(Tuning.Product.of(LAYER, 16), new Tuning.Winner(options, 12.5e-6));
    }

    /** Written and read again, as the library meets it. */
    private Tuning stored(PlanOptions options) throws IOException {
        Path file = folder.resolve("h200.json");
        TuningFile.write(file, H200, tuning(options));
        return TuningFile.read(file, H200);
    }

    @Test
    void aTileInHalvesIsStoredAndServesTheCardsThatHaveIt() throws IOException {
        PlanOptions halves = PlanOptions.DEFAULT.withTile(new TileShape(64, 256, 2)).withStages(3);
        Tuning stored = stored(halves);
        assertEquals(tuning(halves).winner(LAYER, 16), stored.winner(LAYER, 16));
        assertTrue(Files.readString(folder.resolve("h200.json")).contains("\"halves\":2"));
        assertEquals("striped_f16_sym_g64_m64_n256_h2", new Planner(PlannerTest.A10, LAYER, PlanOptions.DEFAULT, stored).plan(16).kernel());
        String elsewhere = new Planner(H200, LAYER, PlanOptions.DEFAULT, stored).plan(16).reason();
        assertTrue(elsewhere.contains("tile 64x256 in halves: there are kernels for"), elsewhere);
    }

    // ---- precedence ----

    @Test
    void aWinnerComesBeforeTheCostModel() throws IOException {
        StripedPlan plan = (StripedPlan) new Planner(H200, LAYER, PlanOptions.DEFAULT, stored(ODD)).plan(9);
        assertEquals(((StripedPlan) new Planner(H200, LAYER, ODD).plan(9)).withReason(plan.reason()), plan);
        assertEquals("measured at 12.50 us on this device, by tuning file " + folder.resolve("h200.json"), plan.reason());
    }

    @Test
    void aMeasuredHopperKernelIsChosen() throws IOException {
        Planner planner = new Planner(H200, LAYER, PlanOptions.DEFAULT, stored(ON_HOPPER));
        HopperPlan plan = assertInstanceOf(HopperPlan.class, planner.plan(16));
        assertEquals(((HopperPlan) new Planner(H200, LAYER, ON_HOPPER).plan(16)).withReason(plan.reason()), plan);
        assertTrue(plan.reason().startsWith("measured at 12.50 us"), plan.reason());
    }

    @Test
    void aFamilyAskedForIsObeyed() throws IOException {
        GemmPlan plan = new Planner(H200, LAYER, PlanOptions.DEFAULT.withFamily(KernelFamily.STRIPED), stored(ON_HOPPER)).plan(16);
        assertTrue(plan instanceof StripedPlan, plan.toString());
        assertFalse(plan.reason().contains("measured") || plan.reason().contains("Hopper"), plan.reason());
        assertEquals(new Planner(H200, LAYER, PlanOptions.DEFAULT).plan(16).withReason(""), plan.withReason(""));
        assertEquals(KernelFamily.STRIPED, PlanOptions.DEFAULT.withTile(new TileShape(8, 64)).family().orElseThrow());
    }

    /** Rates serve every prediction, whatever was asked for. */
    @Test
    void measuredRatesAreStoredAndServePredictions() throws IOException {
        Path file = folder.resolve("rates.json");
        Map<String, Double> rates = Map.of("L2_BYTES_PER_CLOCK", 40.0, "LEAST_WGMMA_CLOCKS", 21.5);
        Tuning measured = tuning(ODD).with("LEAST_WGMMA_CLOCKS", 21.5).with("L2_BYTES_PER_CLOCK", 40);
        TuningFile.write(file, H200, measured.withoutWinners());
        Tuning read = TuningFile.read(file, H200);
        assertEquals(rates, read.rates());
        assertEquals(Map.of(), read.winners());
        for (PlanOptions options : List.of(PlanOptions.DEFAULT, ODD, ON_HOPPER)) {
            GemmPlan plan = new Planner(H200, LAYER, options, read).plan(16);
            String note = "; predicted with {L2_BYTES_PER_CLOCK=40.0, LEAST_WGMMA_CLOCKS=21.5} as measured";
            assertTrue(plan.reason().endsWith(note), plan.reason());
            assertTrue(plan.prediction().l2() < new Planner(H200, LAYER, options).plan(16).prediction().l2(), plan.toString());
        }
    }

    @Test
    void optionsComeBeforeAWinner() throws IOException {
        Tuning tuning = stored(ODD);
        for (PlanOptions options : List.of(PlanOptions.DEFAULT.withBatchInvariance(), PlanOptions.DEFAULT.withGrid(5),
                PlanOptions.DEFAULT.withStages(2), PlanOptions.DEFAULT.withTile(new TileShape(16, 128)),
                PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER), ON_HOPPER,
                PlanOptions.DEFAULT.withFamily(KernelFamily.STRIPED), PlanOptions.DEFAULT.withCut(Stripes.Cut.EVEN))) {
            assertEquals(new Planner(H200, LAYER, options).plan(16), new Planner(H200, LAYER, options, tuning).plan(16));
        }
    }

    @Test
    void aWinnerServesItsOwnRowsAndShapeOnly() throws IOException {
        Tuning tuning = stored(ODD);
        for (int m : new int[] {1, 8, 17, 64}) {
            assertEquals(new Planner(H200, LAYER, PlanOptions.DEFAULT).plan(m),
                    new Planner(H200, LAYER, PlanOptions.DEFAULT, tuning).plan(m));
        }
        for (WeightShape other : List.of(new WeightShape(4096, 14336, 32, DataType.FP16, false),
                new WeightShape(4096, 14336, 128, DataType.BF16, false), new WeightShape(4096, 14336, 128, DataType.FP16, true),
                new WeightShape(4096, 14272, 128, DataType.FP16, false),
                new WeightShape(4032, 14336, 128, DataType.FP16, false))) {
            assertEquals(new Planner(H200, other, PlanOptions.DEFAULT).plan(16),
                    new Planner(H200, other, PlanOptions.DEFAULT, tuning).plan(16));
        }
        for (int group : new int[] {-1, 64, 256}) {
            WeightShape sameKernels = new WeightShape(4096, 14336, group, DataType.FP16, false);
            assertTrue(new Planner(H200, sameKernels, PlanOptions.DEFAULT, tuning).plan(16).reason().startsWith("measured"));
        }
    }

    @Test
    void aWinnerThatDoesNotFitIsIgnoredWithTheReason() {
        Tuning tooDeep = tuning(PlanOptions.DEFAULT.withTile(new TileShape(64, 256)).withStages(8));
        StripedPlan plan = (StripedPlan) new Planner(PlannerTest.A10, LAYER, PlanOptions.DEFAULT, tooDeep).plan(16);
        StripedPlan predicted = (StripedPlan) new Planner(PlannerTest.A10, LAYER, PlanOptions.DEFAULT).plan(16);
        assertEquals(predicted.withReason(plan.reason()), plan);
        assertTrue(plan.reason().contains("; ignored what was measured at 12.50 us"), plan.reason());
        assertTrue(plan.reason().contains("101376"), plan.reason());
        String noHopper = new Planner(PlannerTest.A100, LAYER, PlanOptions.DEFAULT, tuning(ON_HOPPER)).plan(16).reason();
        assertTrue(noHopper.contains("needs compute capability 9.0"), noHopper);
    }

    /** H200, but a library without the Hopper kernel's image: its winner still ends the crossover before it. */
    @Test
    void aWinnerWithoutItsKernelsIsIgnoredWithTheReason() {
        Function<KernelFamily, Optional<String>> missing = family -> Optional.of("no image of " + family)
                .filter(why -> family == KernelFamily.HOPPER);
        Tuning tuning = tuning(ON_HOPPER).with(Tuning.Product.of(LAYER, 8),
                new Tuning.Winner(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE), 1e-6));
        Planner planner = new Planner(H200, LAYER, PlanOptions.DEFAULT, tuning, missing);
        StripedPlan plan = assertInstanceOf(StripedPlan.class, planner.plan(16));
        assertTrue(plan.reason().contains("; ignored what was measured at 12.50 us"), plan.reason());
        assertTrue(plan.reason().endsWith(": family HOPPER on H200: no image of HOPPER"), plan.reason());
        assertInstanceOf(DensePlan.class, planner.plan(8));
        String asked = assertThrows(IllegalArgumentException.class, () -> new Planner(H200, LAYER, ON_HOPPER, Tuning.NONE, missing)).getMessage();
        assertEquals("family HOPPER on H200: no image of HOPPER", asked);
    }

    // ---- the file ----

    @Test
    void whatIsWrittenIsRead() throws IOException {
        Tuning.Product small = Tuning.Product.of(new WeightShape(64, 64, 32, DataType.BF16, true), 1);
        Tuning both = stored(ODD).with(small, new Tuning.Winner(ON_HOPPER, 1e-6))
                .with(Tuning.Product.of(LAYER, 64), new Tuning.Winner(PAIR, 2e-5));
        Path file = folder.resolve("new/folder/both.json");
        TuningFile.write(file, H200, both);
        assertEquals(both.winners(), TuningFile.read(file, H200).winners());
        assertEquals(Map.of(), TuningFile.read(file, H200).rates());
        TuningFile.write(file, H200, tuning(ODD));
        assertEquals(tuning(ODD).winners(), TuningFile.read(file, H200).winners());
        try (Stream<Path> files = Files.list(file.getParent())) {
            assertEquals(List.of(file), files.toList());
        }
    }

    @Test
    void anUpdateKeepsWhatIsThere() throws IOException {
        Path file = folder.resolve("h200.json");
        TuningFile.update(file, H200, tuning -> tuning.with("OVERLAP_LOSS", 0.2));
        TuningFile.update(file, H200, tuning -> tuning.with(Tuning.Product.of(LAYER, 16), new Tuning.Winner(ODD, 12.5e-6)));
        assertEquals(Map.of("OVERLAP_LOSS", 0.2), TuningFile.read(file, H200).rates());
        assertEquals(tuning(ODD).winners(), TuningFile.read(file, H200).winners());
        Files.writeString(file, "{}");
        assertThrows(TuningFileException.class, () -> TuningFile.update(file, H200, tuning -> tuning));
        assertEquals("{}", Files.readString(file));
    }

    @Test
    void whoMayReadItIsLeftToTheUsersSettings() throws IOException {
        assumeTrue(folder.getFileSystem().supportedFileAttributeViews().contains("posix"));
        Path file = folder.resolve("h200.json");
        TuningFile.write(file, H200, tuning(ODD));
        assertEquals(Files.getPosixFilePermissions(Files.writeString(folder.resolve("plain"), "")), Files.getPosixFilePermissions(file));
    }

    @Test
    void aFailedWriteLeavesNothingBehind() throws IOException {
        Path occupied = folder.resolve("occupied");
        Files.createDirectories(occupied.resolve("inside"));
        assertThrows(IOException.class, () -> TuningFile.write(occupied, H200, tuning(ODD)));
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(List.of(occupied), files.toList());
        }
    }

    @Test
    void theFileIsThePropertysOrTheUsersOrNone() throws IOException {
        System.setProperty("user.home", folder.toString());
        System.clearProperty(TuningFile.PROPERTY);
        Path own = folder.resolve(".jmarlin/tuning/h200-sm90-132.json");
        assertEquals(own, TuningFile.location(H200).orElseThrow());
        assertEquals("", TuningFile.load(H200).note(), "no file of the user's own is nothing to talk about");
        TuningFile.write(own, H200, tuning(ODD));
        assertEquals(own.toString(), TuningFile.load(H200).origin());
        Path asked = folder.resolve("asked.json");
        System.setProperty(TuningFile.PROPERTY, asked.toString());
        assertEquals("tuning file " + asked + ": there is no such file", TuningFile.load(H200).note());
        TuningFile.write(asked, H200, tuning(ON_HOPPER));
        assertEquals(tuning(ON_HOPPER).winners(), TuningFile.load(H200).winners());
        System.setProperty(TuningFile.PROPERTY, TuningFile.OFF);
        assertEquals(Tuning.NONE, TuningFile.load(H200));
        System.setProperty(TuningFile.PROPERTY, "\0");
        assertTrue(TuningFile.load(H200).note().startsWith("-Djmarlin.tuning="), TuningFile.load(H200).note());
    }

    /** A device's file says that it has no bytes, and never ends. */
    @Test
    void aFileWithoutEndIsRefused() throws IOException {
        Path file = folder.resolve("long.json");
        Files.write(file, new byte[10_000_001]);
        for (Path endless : List.of(file, Path.of("/dev/zero"))) {
            assumeTrue(Files.exists(endless));
            String message = assertThrows(TuningFileException.class, () -> TuningFile.read(endless, H200)).getMessage();
            assertEquals("tuning file " + endless + ": more than 10000000 bytes", message);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "{\"version\":3       | {\"version\":2             | version 2: this library reads version 3; remove the file",
        "\"version\":3,       | ~~                         | key device: version expected",
        "\"name\":\"H200\"    | \"name\":\"H100\"          | measured on H100 of compute capability 90 with 132 SMs, this is H200",
        ":132                 | :66                        | measured on H200 of compute capability 90 with 66 SMs",
        "\"rows\":16          | \"rows\":12                | product of 12 rows",
        "\"rows\":16          | \"rows\":\"16.5\"          | rows 16.5: must be an integer",
        "\"rows\":16          | \"rows\":99999999999       | rows 99999999999: must be an integer",
        "\"rows\":16          | \"rows\":[16]              | rows: one value expected",
        "\"rows\":16,         | ~~                         | must be",
        "\"rows\":16          | \"rows\":16,\"rows\":16    | not JSON: Duplicate field 'rows'",
        "sym_g64              | sym_g48                    | weights sym_g48: there are kernels for [sym_g64, sym_g32,",
        "FP16                 | FP32                       | product of 16 rows with 4096 x 14336 FP32",
        "FP16                 | INT8                       | type INT8: must be one of [",
        "STRIPED              | SPARSE                     | family SPARSE: must be one of [STRIPED, HOPPER",
        "STRIPED              | HOPPER                     | neighbours, split], and may be [cut]",
        "\"family\":\"STRIPED\", | ~~                     | family must be one of them",
        "\"grid\":77          | \"grid\":77,\"cut\":\"ODD\" | cut ODD: must be one of [EVEN, WHOLE_STAGES]",
        "\"grid\":77          | \"grid\":77,\"cluster\":1 | cluster, stages]: must be [k, n,",
        "{}                   | {\"L3_BYTES\":1}           | rate L3_BYTES: must be one of [CLOCK_HZ,",
        "{}                   | {\"CLOCK_HZ\":-1}          | rate CLOCK_HZ of -1.0: must be a positive, finite number",
        "{}                   | {\"CLOCK_HZ\":\"fast\"}    | CLOCK_HZ fast: must be a number",
        "{}                   | {\"CLOCK_HZ\":\"-\"}       | CLOCK_HZ -: must be a number",
        "{}                   | []                         | rates: START_OBJECT expected, found START_ARRAY",
        "\"batchTile\":8      | \"batchTile\":7            | batch tile 7",
        "\"stages\":3         | \"stages\":9               | stages 9: must be in 2..8",
        "\"grid\":77          | \"grid\":-1                | grid -1",
        "1.25E-5              | -1                         | winner of -1.0 seconds",
        "1.25E-5              | 1e400                      | winner of Infinity seconds",
        "}]}                  | }                          | not JSON",
        "}]}                  | }]}{}                      | there is more after the closing brace",
    })
    void badFilesAreRefusedByNameAndIgnoredByPlans(String from, String to, String message) throws IOException {
        Path file = folder.resolve("bad.json");
        TuningFile.write(file, H200, tuning(ODD));
        String good = Files.readString(file);
        String bad = good.replace(from, to);
        assertFalse(good.equals(bad), "nothing was replaced in " + good);
        Files.writeString(file, bad);
        String refused = assertThrows(TuningFileException.class, () -> TuningFile.read(file, H200)).getMessage();
        assertTrue(refused.startsWith("tuning file " + file + ": ") && refused.contains(message), refused);
        assertEquals(1, refused.lines().count(), refused);
        System.setProperty(TuningFile.PROPERTY, file.toString());
        StripedPlan plan = (StripedPlan) new Planner(H200, LAYER, PlanOptions.DEFAULT, TuningFile.load(H200)).plan(16);
        StripedPlan predicted = (StripedPlan) new Planner(H200, LAYER, PlanOptions.DEFAULT).plan(16);
        assertEquals(predicted.withReason(predicted.reason() + "; ignored " + refused), plan);
        // Its rates would have counted for these, too.
        String asked = new Planner(H200, LAYER, ON_HOPPER, TuningFile.load(H200)).plan(16).reason();
        assertTrue(asked.endsWith("; ignored " + refused), asked);
    }

    // ---- candidates ----

    @Test
    void candidatesAreDifferentLaunchesAndThePlannersComesFirst() {
        for (DeviceFacts device : List.of(H200, PlannerTest.A100, PlannerTest.A10)) {
            for (int m : new int[] {1, 16, 200}) {
                List<PlanOptions> candidates = TuningCandidates.of(device, LAYER, m, Tuning.NONE);
                Set<GemmPlan> launches = new HashSet<>();
                for (PlanOptions options : candidates) {
                    GemmPlan plan = new Planner(device, LAYER, options).plan(m);
                    assertTrue(plan.sharedBytes() <= device.sharedMemoryPerBlockOptin(), plan.toString());
                    assertTrue(launches.add(plan.withReason("")), plan.toString());
                }
                StripedPlan own = (StripedPlan) new Planner(device, LAYER, PlanOptions.DEFAULT).plan(m);
                StripedPlan first = (StripedPlan) new Planner(device, LAYER, candidates.get(0)).plan(m);
                assertEquals(own.withReason(""), first.withReason(""));
                assertTrue(candidates.stream().map(PlanOptions::tile).distinct().count() > 2, candidates.toString());
                assertEquals(device == H200, candidates.stream().anyMatch(options -> options.asks(KernelFamily.HOPPER)));
                assertEquals(device == H200, TuningCandidates.families(device).contains(KernelFamily.HOPPER));
            }
        }
    }

    /** 132 SMs hold 66 clusters of two blocks that fill an SM each. */
    @Test
    void moreClustersThanTheDeviceHoldsAreNeitherWrittenNorRead() throws IOException {
        Path file = folder.resolve("clusters.json");
        TuningFile.write(file, H200, Tuning.NONE.with("CLUSTERS_OF_2", 66));
        String good = Files.readString(file);
        String message = assertThrows(IllegalArgumentException.class,
                () -> TuningFile.write(file, H200, Tuning.NONE.with("CLUSTERS_OF_2", 67))).getMessage();
        assertTrue(message.contains("CLUSTERS_OF_2 of 67.0: the 132 SMs of " + H200.name() + " hold at most 66"), message);
        assertEquals(good, Files.readString(file));
        Files.writeString(file, good.replace("66", "67"));
        message = assertThrows(TuningFileException.class, () -> TuningFile.read(file, H200)).getMessage();
        assertTrue(message.contains("CLUSTERS_OF_2 of 67.0"), message);
        // Of four fewer are assumed than could be measured.
        TuningFile.write(file, H200, Tuning.NONE.with("CLUSTERS_OF_4", 33));
        assertEquals(33, TuningFile.read(file, H200).rates().get("CLUSTERS_OF_4"));
        assertThrows(IllegalArgumentException.class, () -> TuningFile.write(file, H200, Tuning.NONE.with("CLUSTERS_OF_4", 34)));
    }

    /** Every striped tile is cut both ways, where that makes a difference; every tile that splits k is there once. */
    @Test
    void candidatesCoverTilesAndCuts() {
        List<PlanOptions> candidates = TuningCandidates.of(H200, LAYER, 16, Tuning.NONE);
        for (TileShape tile : TileShape.INSTANCES) {
            PlanOptions even = PlanOptions.DEFAULT.withTile(tile).withCut(Stripes.Cut.EVEN);
            int cuts = new Planner(H200, LAYER, even).plan(16).unitsPerBlock() % tile.kBlocksPerStage() == 0 ? 1 : 2;
            assertEquals(2 * cuts, candidates.stream().filter(options -> options.tile().equals(Optional.of(tile))).count(),
                    "cuts and rings of " + tile);
        }
        for (HopperTile tile : HopperTile.INSTANCES) {
            PlanOptions asked = PlanOptions.DEFAULT.withHopperTile(tile);
            int cuts = !tile.striped() || new Planner(H200, LAYER, asked.withCut(Stripes.Cut.EVEN)).plan(16).unitsPerBlock()
                    % tile.kBlocksPerStage(LAYER) == 0 ? 1 : 2;
            assertEquals(cuts, candidates.stream().filter(options -> options.hopperTile().equals(Optional.of(tile)) && options.grid() == 0)
                    .count(), "cuts of " + tile);
        }
    }

    /**
     * 31 clusters of four are assumed on 132 SMs. 8192 columns are 32 tiles of 256, where 32 clusters would do with one tile each and 33
     * with no fewer; 28672 are 112, four each for 28 to 33 clusters.
     */
    @Test
    void clustersOfFourAreTriedInNumbersAroundTheAssumedOne() {
        assertEquals(List.of(0, 120, 128), gridsOfFours(8192, Tuning.NONE));
        assertEquals(List.of(0, 120), gridsOfFours(28672, Tuning.NONE));
        assertEquals(List.of(0, 124), gridsOfFours(8192, Tuning.NONE.with("CLUSTERS_OF_4", 32)));
        // 16 tiles: 16 clusters, however many fit.
        assertEquals(List.of(0), gridsOfFours(4096, Tuning.NONE));
        assertTrue(TuningCandidates.of(H200, LAYER, 64, Tuning.NONE).stream().allMatch(options -> options.grid() <= 132));
    }

    private static List<Integer> gridsOfFours(int n, Tuning rates) {
        return TuningCandidates.of(H200, new WeightShape(8192, n, 128, DataType.FP16, false), 64, rates).stream()
                .filter(options -> options.hopperTile().equals(Optional.of(new HopperTile(64, 256, 1, 4)))).map(PlanOptions::grid).sorted()
                .toList();
    }
}
