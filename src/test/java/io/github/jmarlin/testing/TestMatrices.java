package io.github.jmarlin.testing;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import java.util.Random;

/** Quantized matrices with random content. */
public final class TestMatrices {
    private TestMatrices() {
    }

    /** Every code and zero point equally likely, scales of the size real layers have, of both signs, spread over eight binades. */
    public static QuantizedMatrix random(int k, int n, int groupSize, DataType scaleType, boolean zeroPoints, boolean bias,
            long seed) {
        Random random = new Random(seed);
        var matrix = QuantizedMatrix.builder(k, n, groupSize, scaleType);
        byte[] codes = new byte[n];
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                codes[column] = (byte) random.nextInt(16);
            }
            matrix.setCodes(row, codes);
        }
        if (zeroPoints) {
            matrix.withZeroPoints();
        }
        int rowsPerGroup = groupSize < 0 ? k : groupSize;
        for (int group = 0; group * rowsPerGroup < k; group++) {
            for (int column = 0; column < n; column++) {
                float scale = (float) Math.scalb(1 + random.nextDouble(), -6 - random.nextInt(8));
                matrix.setScale(group, column, random.nextBoolean() ? scale : -scale);
                if (zeroPoints) {
                    matrix.setZeroPoint(group, column, random.nextInt(17));
                }
            }
        }
        for (int column = 0; bias && column < n; column++) {
            matrix.withBias().setBias(column, (float) random.nextGaussian());
        }
        return matrix.build();
    }

    /** Standard normal numbers. */
    public static float[] gaussian(int count, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }
}
