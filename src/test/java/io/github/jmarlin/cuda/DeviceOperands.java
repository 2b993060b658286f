package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Activations and outputs on a device. What a launch must not read or write is NaN: between the rows, and the output before it.
 */
final class DeviceOperands implements AutoCloseable {
    private static final short POISON = (short) 0xffff;

    private final DataType type;
    private final int m;
    private final int k;
    private final int n;
    private final int lda;
    private final int ldc;
    private final DeviceBuffer a;
    private final DeviceBuffer c;

    DeviceOperands(DeviceWeights weights, float[] values, int m, int lda, int ldc) {
        type = weights.shape().computeType();
        k = weights.shape().k();
        n = weights.shape().n();
        this.m = m;
        this.lda = lda;
        this.ldc = ldc;
        // The last rows end with the matrix: reading or writing on would leave the allocation.
        a = weights.engine().allocate(2L * ((m - 1) * lda + (k + 7) / 8 * 8), "activations");
        c = weights.engine().allocate(2L * ((m - 1) * ldc + n), "outputs");
        activations(values);
        poisonOutputs();
    }

    void activations(float[] values) {
        ByteBuffer rows = poison(a);
        for (int row = 0; row < m; row++) {
            for (int i = 0; i < k; i++) {
                rows.putShort(2 * (row * lda + i), HalfFloats.encode(type, values[row * k + i]));
            }
        }
        a.upload(0, rows);
    }

    void poisonOutputs() {
        c.upload(0, poison(c));
    }

    private static ByteBuffer poison(DeviceBuffer buffer) {
        ByteBuffer bytes = ByteBuffer.allocateDirect((int) buffer.size()).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            bytes.putShort(POISON);
        }
        return bytes.flip();
    }

    /** [m][n], after a check that nothing between the rows was written. */
    float[] result() {
        ByteBuffer bytes = ByteBuffer.allocateDirect((int) c.size()).order(ByteOrder.LITTLE_ENDIAN);
        c.download(0, bytes);
        float[] values = new float[m * n];
        for (int at = 0; at < c.size() / 2; at++) {
            short bits = bytes.getShort(2 * at);
            if (at % ldc < n) {
                values[at / ldc * n + at % ldc] = HalfFloats.decode(type, bits);
            } else {
                assertEquals(POISON, bits, "written between the rows of C: row " + at / ldc + ", column " + at % ldc + " of "
                        + n);
            }
        }
        return values;
    }

    long a() {
        return a.address();
    }

    int lda() {
        return lda;
    }

    long c() {
        return c.address();
    }

    int ldc() {
        return ldc;
    }

    @Override
    public void close() {
        c.close();
        a.close();
    }
}
