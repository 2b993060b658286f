package io.github.jmarlin.cuda;

/**
 * Where the fields of the kernels' one argument lie: the Java half of {@code gemm_args.cuh}. An image publishes its own offsets,
 * and {@link KernelModule} refuses an image whose offsets differ from these.
 */
final class GemmArgs {
    static final int ABI_VERSION = 4;

    static final int A = 0;
    static final int CODES = 8;
    static final int SCALES = 16;
    static final int ZEROS = 24;
    static final int FACTORS = 32;
    static final int BIAS = 40;
    static final int C = 48;
    static final int PARTIALS = 56;
    static final int COUNTERS = 64;
    static final int NEXT_CODES = 72;
    static final int NEXT_K_BLOCKS = 80;
    static final int NEXT_STRIPS = 84;
    static final int NEXT_STRIPS_PER_TILE = 88;
    static final int NEXT_M_TILES = 92;
    static final int NEXT_UNITS_PER_START = 96;
    static final int NEXT_STARTS = 100;
    static final int NEXT_UNITS = 104;
    static final int NEXT_BLOCK_BYTES = 108;
    static final int LDA = 112;
    static final int LDC = 120;
    static final int M = 128;
    static final int N = 132;
    static final int K = 136;
    static final int K_BLOCKS = 140;
    static final int SCALE_ROWS = 144;
    static final int GROUP_SHIFT = 148;
    static final int N_TILES = 152;
    static final int M_TILES = 156;
    static final int UNITS_PER_BLOCK = 160;
    static final int STAGES = 164;
    static final int K_BLOCKS_INVERSE = 168;
    static final int M_TILES_INVERSE = 176;
    static final int UNITS_INVERSE = 184;
    static final int EPILOGUE = 192;
    static final int SIZE = EPILOGUE + EpilogueArgs.SIZE;

    private GemmArgs() {
    }

    /**
     * What the kernels multiply by instead of dividing by {@code divisor}: {@code quotient} of {@code stripe.cuh}. 0 for 0: where blocks take
     * whole tiles there are no units of a block, and nobody divides by them.
     */
    static long inverse(int divisor) {
        return divisor == 0 ? 0 : Long.divideUnsigned(-1, divisor);
    }

    /** What an image that fits this library exports as {@code jmarlin_striped_abi} or {@code jmarlin_hopper_abi}. */
    static int[] abi() {
        return new int[] {ABI_VERSION, SIZE, A, CODES, SCALES, ZEROS, FACTORS, BIAS, C, PARTIALS, COUNTERS, NEXT_CODES,
            NEXT_K_BLOCKS, NEXT_STRIPS, NEXT_STRIPS_PER_TILE, NEXT_M_TILES, NEXT_UNITS_PER_START, NEXT_STARTS, NEXT_UNITS,
            NEXT_BLOCK_BYTES, LDA, LDC, M, N, K, K_BLOCKS, SCALE_ROWS, GROUP_SHIFT, N_TILES, M_TILES, UNITS_PER_BLOCK, STAGES,
            K_BLOCKS_INVERSE, M_TILES_INVERSE, UNITS_INVERSE,
            EPILOGUE + EpilogueArgs.RESIDUAL, EPILOGUE + EpilogueArgs.ROW_FACTORS, EPILOGUE + EpilogueArgs.LDR,
            EPILOGUE + EpilogueArgs.STEPS};
    }
}
