package io.github.jmarlin.bench.gpu;

/** Someone who multiplies on the stream of a {@link Gpu}. */
interface GpuContender extends AutoCloseable {
    /** One of {@code Contenders}. */
    String name();

    /** Of its weights, 0 if they have none. */
    int groupSize();

    /** Copies of its operands, which launches go through in turn. */
    int slots();

    /** The least bytes of one product. */
    double bytes();

    /** Of one product. */
    double flops();

    /** Its answer in the first slot compared with fp64, null if there is nothing to check; synchronises. */
    default Verdict check() {
        return null;
    }

    /**
     * How far off an answer is.
     *
     * @param error relative, in the Frobenius norm
     * @param bound what it may be
     */
    record Verdict(double error, double bound) {
    }

    /** Puts one product into the stream; may be captured. */
    void enqueue(int slot);

    @Override
    void close();
}
