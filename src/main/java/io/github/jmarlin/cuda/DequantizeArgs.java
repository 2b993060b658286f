package io.github.jmarlin.cuda;

/** Where the fields of the dequantization kernel's argument lie: the Java half of {@code dequantize/dequantize.cuh}. */
final class DequantizeArgs {
    static final int ABI_VERSION = 2;

    static final int CODES = 0;
    static final int SCALES = 8;
    static final int ZEROS = 16;
    static final int FACTORS = 24;
    static final int W = 32;
    static final int LDW = 40;
    static final int N = 48;
    static final int K = 52;
    static final int K_BLOCKS = 56;
    static final int SCALE_ROWS = 60;
    static final int GROUP_SHIFT = 64;
    static final int SIZE = 72;

    private DequantizeArgs() {
    }

    /** What an image that fits this library exports as {@code jmarlin_dequantize_abi}. */
    static int[] abi() {
        return new int[] {ABI_VERSION, SIZE, CODES, SCALES, ZEROS, FACTORS, W, LDW, N, K, K_BLOCKS, SCALE_ROWS, GROUP_SHIFT,
            FinishArgs.SIZE, FinishArgs.SUMS, FinishArgs.BIAS, FinishArgs.C, FinishArgs.EPILOGUE + EpilogueArgs.RESIDUAL,
            FinishArgs.EPILOGUE + EpilogueArgs.ROW_FACTORS, FinishArgs.EPILOGUE + EpilogueArgs.LDR,
            FinishArgs.EPILOGUE + EpilogueArgs.STEPS, FinishArgs.LDS, FinishArgs.LDC, FinishArgs.M, FinishArgs.N};
    }
}
