package io.github.jmarlin.cuda;

import io.github.jmarlin.CudaCallException;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import jcuda.driver.CUfunction;

/**
 * One of the kernels between a decoder's quantized products, loaded: the Java half of {@code src/main/cuda/decoder}. For {@code
 * cuda.decoder}, which knows what the arguments mean and checks them.
 *
 * <p>Safe for any number of threads, each with a workspace of its own. A launch synchronises nothing and may be captured in a CUDA
 * graph.
 */
public final class DecoderKernel {
    /** Threads of a block, of every kernel. */
    public static final int THREADS = 256;

    static final int ABI_VERSION = 1;

    /** What there is, in the order in which an image publishes the layouts of the arguments. */
    public enum Kind {
        /** Rows of a table, widened to fp32. */
        EMBED("pppii"),
        /** Addition to the residual stream and RMSNorm. */
        NORM("pppppiif"),
        /** Head norms, rotation, key/value cache. */
        ROTARY("ppppppppp" + "l" + "iiiiif"),
        /** Rows of queries over the cache. */
        ATTENTION("pppppppp" + "iiiiif"),
        /** silu(gate) * up. */
        SILU_MUL("ppii"),
        /** Rows times a matrix of 16-bit numbers. */
        PRODUCT("pppp" + "ll" + "iii"),
        /** The first column of a row's largest. */
        ARGMAX("pp" + "l" + "ii");

        private final ArgumentLayout layout;

        Kind(String fields) {
            layout = new ArgumentLayout(fields);
        }

        private String kernelName(String form) {
            String name = "decoder_" + name().toLowerCase(Locale.ROOT);
            return form.isEmpty() ? name : name + "_" + form;
        }
    }

    private final CudaEngine engine;
    private final Kind kind;
    private final String name;
    private final CUfunction function;

    /**
     * Loads a kernel.
     *
     * @param form the rest of its name, such as {@code f16}; empty if that is all
     * @throws io.github.jmarlin.KernelImageException if there is none for the device
     */
    public DecoderKernel(CudaEngine engine, Kind kind, String form) {
        this.engine = engine;
        this.kind = kind;
        name = kind.kernelName(form);
        function = engine.kernel(name);
    }

    /** What an image that fits this library exports as {@code jmarlin_decoder_abi}. */
    static int[] abi() {
        return IntStream.concat(IntStream.of(ABI_VERSION), Stream.of(Kind.values()).flatMapToInt(kind -> kind.layout.words())).toArray();
    }

    /**
     * Launches on the workspace's stream. The engine's context must be current on this thread. What the arguments point to is not
     * looked at.
     *
     * @param arguments a value for each field, in order; of a float its bits
     * @throws IllegalStateException if the workspace is closed, or another thread uses it
     * @throws CudaCallException if the driver refuses the launch
     */
    public void launch(Workspace workspace, int grid, int sharedBytes, long... arguments) {
        if (workspace.engine() != engine) {
            throw new IllegalArgumentException("workspace of " + workspace.engine() + ": one of " + engine + " expected");
        }
        workspace.enter();
        try {
            workspace.block().arguments(kind.layout, arguments);
            engine.check(name, workspace.block().launch(function, grid, THREADS, sharedBytes, workspace.stream()));
        } finally {
            workspace.leave();
        }
    }

    @Override
    public String toString() {
        return name;
    }
}
