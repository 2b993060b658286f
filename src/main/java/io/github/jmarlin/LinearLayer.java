package io.github.jmarlin;

import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;

/**
 * Weights on a device, ready to multiply: {@code C[m][n] = A[m][k] * W[k][n] + bias[n]}.
 *
 * <p>Safe for any number of threads. The same operands give the same bits, however many threads compute. An infinite activation gives
 * infinities and NaN where it would in double precision; but for 2:4 sparse weights on GPUs: what is not stored is not multiplied, so a
 * product with an infinite activation of an unstored weight may stay finite or give NaN.
 */
public interface LinearLayer extends AutoCloseable {
    /** Rows of the weights (in-features). */
    int k();

    /** Columns of the weights (out-features). */
    int n();

    /** The type the weights were packed for, FP16 or BF16. */
    DataType computeType();

    /** What a weight is, and in which order columns lie: those of gate and up in turn can have {@link Epilogue#withSiluMul}. */
    WeightForm form();

    /** Whether {@link #multiply(DataType, ByteBuffer, long, ByteBuffer)} takes this type; the compute type always. */
    boolean supports(DataType type);

    /**
     * Multiplies host buffers. Everything is checked before anything is written; a call that fails a check leaves {@code c} as it
     * was. Positions and limits stay.
     *
     * @param type of the elements of both buffers, little-endian whatever the buffers' order says; see {@link #supports}
     * @param a activations {@code [m][k]}, rows next to each other, from its position on
     * @param m rows (tokens), 0 or more; 0 does nothing
     * @param c outputs {@code [m][n]}, rows next to each other, from its position on; must not overlap {@code a}
     * @throws IllegalArgumentException if a buffer is null or too short, {@code c} is read-only, m is negative or the type is not
     *     supported
     * @throws IllegalStateException after {@link #close}
     */
    default void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c) {
        multiply(type, a, m, c, Epilogue.NONE);
    }

    /**
     * As {@link #multiply(DataType, ByteBuffer, long, ByteBuffer)}, with more done to the sums before they are rounded and stored.
     *
     * @param type of the elements of {@code a}; of {@code c} it is {@link Epilogue#outputType}
     * @param c outputs {@code [m][columns]}, see {@link Epilogue#outputColumns}
     * @param epilogue with operands in host memory
     * @throws IllegalArgumentException also if the epilogue's operands are too short, are device addresses, or these weights have no
     *     pairs of columns where it needs them
     */
    void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c, Epilogue epilogue);

    /**
     * Multiplies floats and returns a new array {@code [m][n]}: in floats if the layer supports them, else the activations and
     * the result are rounded to the compute type.
     *
     * @param a activations, {@code [m][k]}
     */
    default float[] multiply(float[] a, int m) {
        return HostOperands.multiply(this, a, m);
    }

    /**
     * Gives back what the layer holds; the packed weights stay open. A second call does nothing.
     *
     * @throws IllegalStateException while a product runs
     */
    @Override
    void close();
}
