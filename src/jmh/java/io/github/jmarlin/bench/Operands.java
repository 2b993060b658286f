package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Weights and activations to multiply: random, the same for every run. Never zeros, which some hardware multiplies faster. */
public final class Operands {
    /** Rows of activations repeat after so many: a prime, so that no tile of a kernel sees the same rows at the same places. */
    public static final int DISTINCT_ROWS = 61;

    private static final double SCALE = 0.01;
    private static final long SEED = 20260101;

    private Operands() {
    }

    /**
     * Symmetric 4-bit weights with codes drawn evenly and scales of the size real layers have.
     *
     * @param scaleType FP16 or BF16
     */
    public static QuantizedMatrix weights(LayerShape shape, int groupSize, DataType scaleType) {
        return weights(shape, WeightForm.int4(groupSize, false), scaleType);
    }

    /** The same in another form: weights are about as large, whatever their codes. */
    public static QuantizedMatrix weights(LayerShape shape, WeightForm form, DataType scaleType) {
        int n = shape.n();
        int stride = Math.toIntExact(form.codeStride(n));
        boolean halfByteAtEnd = form.code().perByte() == 2 && n % 2 == 1;
        QuantizedMatrix.Builder builder = QuantizedMatrix.builder(shape.k(), n, form, scaleType);
        IntStream.range(0, shape.k()).parallel().forEach(row -> {
            SplittableRandom random = new SplittableRandom(SEED + row);
            ByteBuffer codes = builder.codes().slice((long) row * stride, stride);
            while (codes.remaining() >= Long.BYTES) {
                codes.putLong(random.nextLong());
            }
            while (codes.hasRemaining()) {
                // The last nibble of an odd row belongs to no column.
                codes.put((byte) (random.nextInt() & (codes.remaining() == 1 && halfByteAtEnd ? 0x0f : 0xff)));
            }
        });
        if (form.isSparse()) {
            IntStream.range(0, (shape.k() - 1) / 4 + 1).parallel().forEach(quad -> leaveOutTwo(builder, shape, 4 * quad));
        }
        long scales = builder.scales().size() / (2L * n);
        IntStream.range(0, (int) scales).parallel().forEach(group -> {
            SplittableRandom random = new SplittableRandom(~SEED - group);
            ByteBuffer row = builder.scales().slice(2L * group * n, 2 * n);
            for (int column = 0; column < n; column++) {
                double scale = SCALE * (1 + random.nextDouble()) * 15 / form.code().max();
                row.putShort(HalfFloats.encode(scaleType, (float) scale));
                if (form.hasFloatZeros()) {
                    builder.setFloatZero(group, column, (float) (-scale * form.code().max() / 2));
                }
            }
        });
        return builder.build();
    }

    /** Two neighbouring rows of four, other ones from column to column. */
    private static void leaveOutTwo(QuantizedMatrix.Builder builder, LayerShape shape, int quad) {
        for (int column = 0; column < shape.n(); column++) {
            for (int i = 0; i < 2; i++) {
                int row = quad + (column + quad / 4 + i) % 4;
                if (row < shape.k()) {
                    builder.setCode(row, column, QuantizedMatrix.SYMMETRIC_ZERO_POINT);
                }
            }
        }
    }

    /**
     * The first rows of activations, normally distributed and already rounded to a type; row i of a batch is row
     * {@code i % DISTINCT_ROWS}.
     *
     * @return {@code [DISTINCT_ROWS][k]}
     */
    public static float[] activations(int k, DataType type) {
        float[] rows = new float[DISTINCT_ROWS * k];
        IntStream.range(0, DISTINCT_ROWS).parallel().forEach(row -> {
            SplittableRandom random = new SplittableRandom(SEED * (row + 2));
            for (int i = 0; i < k; i++) {
                rows[row * k + i] = rounded(type, (float) random.nextGaussian());
            }
        });
        return rows;
    }

    private static float rounded(DataType type, float value) {
        return type == DataType.FP32 ? value : HalfFloats.decode(type, HalfFloats.encode(type, value));
    }

    /** Writes a row of activations, in a type, to a buffer's position. */
    public static void put(ByteBuffer target, DataType type, float[] rows, int row, int k) {
        int from = row % DISTINCT_ROWS * k;
        for (int i = 0; i < k; i++) {
            if (type == DataType.FP32) {
                target.putFloat(rows[from + i]);
            } else {
                target.putShort(HalfFloats.encode(type, rows[from + i]));
            }
        }
    }
}
