package io.github.jmarlin.cuda;

/** Where the fields of the bias kernel's argument lie: the Java half of {@code dequantize/bias.cuh}. */
final class BiasArgs {
    static final int SUMS = 0;
    static final int BIAS = 8;
    static final int C = 16;
    static final int LDS = 24;
    static final int LDC = 32;
    static final int M = 40;
    static final int N = 44;
    static final int SIZE = 48;

    private BiasArgs() {
    }
}
