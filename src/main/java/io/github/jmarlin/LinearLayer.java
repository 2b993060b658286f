package io.github.jmarlin;

import java.nio.ByteBuffer;

/**
 * Weights on a device, ready to multiply: {@code C[m][n] = A[m][k] * W[k][n] + bias[n]}.
 *
 * <p>Safe for any number of threads. The same operands give the same bits, however many threads compute. An infinite activation gives
 * infinities and NaN where it would in double precision.
 */
public interface LinearLayer extends AutoCloseable {
    /** Rows of the weights (in-features). */
    int k();

    /** Columns of the weights (out-features). */
    int n();

    /** The type the weights were packed for, FP16 or BF16. */
    DataType computeType();

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
    void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c);

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
