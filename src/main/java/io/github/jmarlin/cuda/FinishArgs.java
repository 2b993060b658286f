package io.github.jmarlin.cuda;

/** Where the fields of the finishing kernel's argument lie: the Java half of {@code dequantize/finish.cuh}. */
final class FinishArgs {
    static final int SUMS = 0;
    static final int BIAS = 8;
    static final int C = 16;
    static final int EPILOGUE = 24;
    static final int LDS = 56;
    static final int LDC = 64;
    static final int M = 72;
    static final int N = 76;
    static final int SIZE = 80;

    private FinishArgs() {
    }
}
