package io.github.jmarlin.llama;

/** The arrays of a step, as large as the largest step so far. */
final class CpuScratch {
    private final LlamaConfig config;
    private int rows;

    /** The residual stream, {@code [rows][hidden]}. */
    float[] residual;
    /** What was normed, {@code [rows][hidden]}. */
    float[] normed;
    /** What attention gives, {@code [rows][heads][head size]}. */
    float[] heads;
    /** What gate and up give, {@code [rows][intermediate]}. */
    float[] gated;
    /** What a block adds to the residual stream, {@code [rows][hidden]}. */
    float[] update;
    /** Of each row's position, {@code [rows][head size / 2]}. */
    float[] cosines;
    float[] sines;
    /** Results of q, k and v, then of gate and up; made by {@link CpuProjections}. */
    final float[][] wide = new float[3][];

    CpuScratch(LlamaConfig config) {
        this.config = config;
    }

    void ensure(int needed) {
        if (needed <= rows) {
            return;
        }
        rows = needed;
        residual = new float[Math.multiplyExact(rows, config.hidden())];
        normed = new float[residual.length];
        update = new float[residual.length];
        heads = new float[Math.multiplyExact(rows, config.attention().queries())];
        gated = new float[Math.multiplyExact(rows, config.intermediate())];
        cosines = new float[Math.multiplyExact(rows, config.attention().headSize() / 2)];
        sines = new float[cosines.length];
    }
}
