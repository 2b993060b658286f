package io.github.jmarlin.bench;

import java.util.List;

/** The names of contenders in files, tables and charts. */
public final class Contenders {
    /** JMarlin on the GPU, with the plan it chooses itself; a forced tile is appended to the name. */
    public static final String JMARLIN = "jmarlin";
    /** JMarlin's kernel for every GPU, asked for by name. */
    public static final String JMARLIN_STRIPED = "jmarlin striped";
    /** JMarlin's kernel for compute capability 9.0, which it does not choose by itself yet. */
    public static final String JMARLIN_HOPPER = "jmarlin hopper";
    /** JMarlin in a block, without fetching the next layer's first weights into the L2 cache. */
    public static final String JMARLIN_NO_PREFETCH = "jmarlin, no prefetch";
    /** cuBLAS with dense 16-bit weights of the activations' type, accumulating in fp32: what speedups are over on a GPU. */
    public static final String CUBLAS = "cublas";
    /** The packed weights expanded to dense ones by a kernel, then cuBLAS. */
    public static final String DEQUANTIZE_CUBLAS = "dequantize+cublas";
    /** A copy within the device's memory: the bandwidth ceiling. */
    public static final String COPY = "copy";
    /** A kernel that does nothing: the fixed cost inside every time of the same mode. */
    public static final String EMPTY = "empty kernel";
    /** What one launch costs the calling thread. */
    public static final String HOST_LAUNCH = "launch on the host";
    /** JMarlin's CPU path. */
    public static final String CPU = "jmarlin cpu";
    /** A dense fp32 product by OpenBLAS, where it is on the class path: what speedups are over on the CPU. */
    public static final String DENSE_OPENBLAS = "dense openblas fp32";
    /** Without OpenBLAS: a dense fp32 product in plain Java loops on all processors, far below what the processor can do. */
    public static final String DENSE_JAVA = "dense java fp32";

    private Contenders() {
    }

    /** Whom the others of a mode are compared with: the first of these that was measured. */
    public static List<String> baselines(TimingMode mode) {
        return mode == TimingMode.HOST ? List.of(DENSE_OPENBLAS, DENSE_JAVA) : List.of(CUBLAS);
    }

    /** Whether it is JMarlin, on whatever device and with whatever plan. */
    public static boolean isJMarlin(String contender) {
        return contender.startsWith(JMARLIN);
    }
}
