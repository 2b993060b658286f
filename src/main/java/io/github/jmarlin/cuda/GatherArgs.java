package io.github.jmarlin.cuda;

/** Where the fields of the gather kernel's argument lie: the Java half of {@code gather/gather.cuh}. */
final class GatherArgs {
    static final int ABI_VERSION = 1;

    static final int A = 0;
    static final int ORDER = 8;
    static final int GATHERED = 16;
    static final int LDA = 24;
    static final int LDG = 32;
    static final int M = 40;
    static final int K = 44;
    static final int SIZE = 48;

    private GatherArgs() {
    }

    /** What an image that fits this library exports as {@code jmarlin_gather_abi}. */
    static int[] abi() {
        return new int[] {ABI_VERSION, SIZE, A, ORDER, GATHERED, LDA, LDG, M, K};
    }
}
