package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.TileShape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * The process of a {@link KernelCheck}: multiplies {@link KnownLayer}s through every instance of one family, set by set of weights, and
 * says so line by line, each before it does it, so that who watches knows where it died.
 *
 * <pre>
 *   jmarlin-check ready                          the device answers
 *   jmarlin-check set INT4                       the kernels of a set of weights follow
 *   jmarlin-check load hopper_f16_... , ...      about to look a kernel up, which the driver may have to compile
 *   jmarlin-check try  hopper_f16_... , ...      about to launch it
 *   jmarlin-check passed 192 instances           \
 *   jmarlin-check failed WORDS                    } the last line of a set
 *   jmarlin-check unchecked WORDS                /
 * </pre>
 */
final class CheckProcess {
    /** What its lines begin with. */
    static final String PREFIX = "jmarlin-check ";
    static final String READY = "ready";
    static final String SET = "set ";
    static final String LOAD = "load ";
    static final String TRY = "try ";
    static final String PASSED = "passed ";
    static final String FAILED = "failed ";
    static final String UNCHECKED = "unchecked ";

    /** A batch tile is not filled: the last rows are somebody else's. */
    private static final int ROWS_MISSING = 3;
    private static final int MOST_ROWS = 128;

    private final CudaEngine engine;
    private final KernelFamily family;
    private final KernelSet set;
    private final long deadline;
    private int instances;

    private CheckProcess(CudaEngine engine, KernelFamily family, KernelSet set, long deadline) {
        this.engine = engine;
        this.family = family;
        this.set = set;
        this.deadline = deadline;
    }

    /** Arguments: ordinal of the device, family, milliseconds. */
    public static void main(String[] arguments) {
        long deadline = System.nanoTime() + 1_000_000 * Long.parseLong(arguments[2]);
        int ordinal = Integer.parseInt(arguments[0]);
        KernelFamily family = KernelFamily.valueOf(arguments[1]);
        Optional<CudaDevice> device = CudaDriver.devices().stream().filter(each -> each.ordinal() == ordinal).findFirst();
        if (device.isEmpty()) {
            say(UNCHECKED + "a process of its own does not find the device: " + CudaDriver.unavailableReason());
            return;
        }
        say(READY);
        try (CudaEngine engine = CudaEngine.ofPrimaryContext(device.get())) {
            for (KernelSet set : KernelSet.values()) {
                if (new Kernels(family, set).exist()) {
                    say(SET + set.name());
                    say(new CheckProcess(engine, family, set, deadline).run());
                }
            }
        } catch (JMarlinException | IllegalStateException e) {
            say(FAILED + e.getMessage());
        }
        System.out.flush();
    }

    private static void say(String words) {
        System.out.println(PREFIX + words.replaceAll("\\s+", " "));
        System.out.flush();
    }

    /** The last line. */
    private String run() {
        Optional<String> missing = engine.missing(new Kernels(family, set));
        if (missing.isPresent()) {
            return UNCHECKED + missing.get();
        }
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (WeightForm form : KnownLayer.forms(new Kernels(family, set))) {
                Optional<String> end = run(type, form);
                if (end.isPresent()) {
                    return end.get();
                }
            }
        }
        return PASSED + instances + " instances";
    }

    /** All tiles with one layer; the last line if there is one already. */
    private Optional<String> run(DataType type, WeightForm form) {
        try (KnownLayer layer = KnownLayer.of(type, form, family != KernelFamily.DENSE, MOST_ROWS);
                PackedWeights packed = layer.pack();
                DeviceWeights weights = engine.upload(packed);
                Operands operands = new Operands(engine, layer)) {
            for (List<Launch> tile : tiles(weights)) {
                for (Launch launch : tile) {
                    if (System.nanoTime() > deadline) {
                        return Optional.of(UNCHECKED + "the time was up after " + instances + " instances, all right");
                    }
                    Optional<String> wrong = operands.multiply(weights.gemm(launch.options), launch.name(weights), launch.rows);
                    if (wrong.isPresent()) {
                        say(FAILED + wrong.get());
                        Runtime.getRuntime().halt(1);       // what a fault has spoilt cannot be closed
                    }
                }
                instances++;
            }
        } catch (KernelImageException e) {
            return Optional.of(UNCHECKED + e.getMessage());     // what the driver does not take has given no wrong answer
        }
        return Optional.empty();
    }

    // ---- what is launched ----

    private record Launch(PlanOptions options, int rows) {
        /** As messages name it, without looking the kernel up. */
        String name(DeviceWeights weights) {
            String kernel = options.tile().map(tile -> tile.kernelName(weights.shape()))
                    .or(() -> options.hopperTile().map(tile -> tile.kernelName(weights.shape())))
                    .orElse("dense weights of " + weights.shape());
            return kernel + ", " + rows + " rows" + (options.grid() > 0 ? ", " + options.grid() + " blocks" : "");
        }
    }

    /** Of every tile that fits: as planned, and with few blocks and slots, so that a block goes round its ring and from tile to tile. */
    private Stream<List<Launch>> allTiles() {
        return switch (family) {
            case STRIPED -> set.allTiles().stream().map(tile -> launches(PlanOptions.DEFAULT.withTile(tile), tile.batchTile(), 2,
                    TileShape.MIN_STAGES));
            case HOPPER -> set.hopperTiles().stream().map(tile -> launches(PlanOptions.DEFAULT.withHopperTile(tile), tile.batchTile(),
                    tile.cluster(), HopperTile.MIN_STAGES));
            case DENSE -> Stream.of(List.of(new Launch(PlanOptions.DEFAULT.withFamily(family), MOST_ROWS - ROWS_MISSING)));
        };
    }

    private static List<Launch> launches(PlanOptions tile, int batchTile, int fewBlocks, int fewStages) {
        PlanOptions few = tile.withGrid(fewBlocks).withStages(fewStages);
        return List.of(new Launch(tile, batchTile - ROWS_MISSING), new Launch(few, batchTile - ROWS_MISSING), new Launch(few, 1));
    }

    private List<List<Launch>> tiles(DeviceWeights weights) {
        List<List<Launch>> fitting = new ArrayList<>();
        allTiles().forEach(tile -> {
            List<Launch> launches = tile.stream().filter(launch -> fits(weights, launch.options)).toList();
            if (!launches.isEmpty()) {
                fitting.add(launches);
            }
        });
        return fitting;
    }

    /** What does not fit is nothing that a plan can choose. */
    private static boolean fits(DeviceWeights weights, PlanOptions options) {
        try {
            weights.gemm(options);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** A, and C, which begins as NaN each time. */
    private static final class Operands implements AutoCloseable {
        private final CudaEngine engine;
        private final KnownLayer layer;
        private final int lda;
        private final DeviceBuffer a;
        private final DeviceBuffer c;

        Operands(CudaEngine engine, KnownLayer layer) {
            this.engine = engine;
            this.layer = layer;
            lda = (layer.matrix().k() + 7) / 8 * 8;
            a = engine.allocate(2L * MOST_ROWS * lda, "activations");
            DeviceBuffer outputs = null;
            try {
                outputs = engine.allocate(2L * MOST_ROWS * KnownLayer.N, "outputs");
                a.upload(0, layer.encoded(MOST_ROWS, lda));
            } catch (Throwable e) {
                Cuda.closeAfter(e, outputs, a);
                throw e;
            }
            c = outputs;
        }

        /** What is wrong with it; empty if nothing is. */
        Optional<String> multiply(CudaGemm gemm, String what, int rows) {
            say(LOAD + what);
            ByteBuffer results = ByteBuffer.allocateDirect(2 * rows * KnownLayer.N).order(ByteOrder.LITTLE_ENDIAN);
            while (results.hasRemaining()) {
                results.put((byte) 0xff);
            }
            c.upload(0, results.flip());
            CUstream stream = new CUstream();
            try (Workspace workspace = engine.newWorkspace(stream, gemm.workspaceFor(rows))) {
                say(TRY + what);
                engine.runInContext(() -> {
                    gemm.launch(a.address(), lda, c.address(), KnownLayer.N, rows, workspace);
                    Cuda.call("cuStreamSynchronize", () -> JCudaDriver.cuStreamSynchronize(stream));
                });
            } catch (CudaCallException e) {
                return Optional.of(what + ": " + e.getMessage());
            }
            c.download(0, results);
            String deviation = layer.deviation(results, rows);
            return deviation.isEmpty() ? Optional.empty() : Optional.of(what + ": " + deviation);
        }

        @Override
        public void close() {
            Cuda.closeAll(c, a);
        }
    }
}
