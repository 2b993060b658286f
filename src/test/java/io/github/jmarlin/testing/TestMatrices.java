package io.github.jmarlin.testing;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.WeightForm;
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

    /**
     * What a quantizer makes of a layer of normally distributed weights: codes around their zero point, zero points around 8,
     * scales of one size.
     */
    public static QuantizedMatrix layer(int k, int n, int groupSize, DataType scaleType, boolean zeroPoints, boolean bias, long seed) {
        return layer(k, n, WeightForm.int4(groupSize, zeroPoints), scaleType, bias, seed);
    }

    /** The same of any form but sparse ones; column scales are of one size too. */
    public static QuantizedMatrix layer(int k, int n, WeightForm form, DataType scaleType, boolean bias, long seed) {
        Random random = new Random(seed);
        var matrix = QuantizedMatrix.builder(k, n, form, scaleType);
        int rowsPerGroup = form.groupSize() < 0 ? k : Math.min(form.groupSize(), k);
        // A code of 4 bits is 2.5 off the middle, of 8 bits 40, a float 2.5 off 0.
        double spread = form.code() == WeightForm.Code.INT8 ? 16 : 1;
        double[] zero = new double[n];
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                if (row % rowsPerGroup == 0) {
                    zero[column] = setGroup(matrix, row / rowsPerGroup, column, spread, random);
                }
                matrix.setCode(row, column, nearest(form.code(), zero[column] + 2.5 * spread * random.nextGaussian()));
            }
        }
        float[] columnScales = new float[n];
        for (int column = 0; column < n; column++) {
            columnScales[column] = form.hasColumnScales() ? (float) (0.1 * (1 + random.nextDouble())) : 1;
            if (bias) {
                matrix.withBias().setBias(column, (float) random.nextGaussian());
            }
        }
        return (form.hasColumnScales() ? matrix.withColumnScales(columnScales) : matrix).build();
    }

    /** Sets scale and offset of a group; returns what its codes should be around. */
    private static double setGroup(QuantizedMatrix.Builder matrix, int group, int column, double spread, Random random) {
        WeightForm form = matrix.form();
        double zero = form.code().middle() + (form.storesOffsets() ? 1.5 * spread * random.nextGaussian() : 0);
        float scale = (float) (0.01 / spread * (1 + random.nextDouble()));
        matrix.setScale(group, column, scale);
        if (form.hasZeroPoints()) {
            zero = clip(zero, form.maxZeroPoint());
            matrix.setZeroPoint(group, column, (int) zero);
        }
        if (form.hasFloatZeros()) {
            matrix.setFloatZero(group, column, (float) (-zero * scale));
        }
        return zero;
    }

    /** The code whose value is the nearest. */
    private static int nearest(WeightForm.Code code, double value) {
        if (code != WeightForm.Code.E2M1) {
            return clip(value, code.max());
        }
        int nearest = 0;
        for (int candidate = 1; candidate <= code.max(); candidate++) {
            nearest = Math.abs(code.value(candidate) - value) < Math.abs(code.value(nearest) - value) ? candidate : nearest;
        }
        return nearest;
    }

    /**
     * Weights of any form but sparse ones: every code and zero point equally likely, scales of the size real layers have and of both
     * signs, float zeros near minus the middle of the codes, column scales over six binades. Scales of E2M1 are powers of two, of 16
     * bits if the type has them.
     */
    public static QuantizedMatrix random(int k, int n, WeightForm form, DataType scaleType, boolean bias, long seed) {
        Random random = new Random(seed);
        var matrix = QuantizedMatrix.builder(k, n, form, scaleType);
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                matrix.setCode(row, column, random.nextInt(form.code().max() + 1));
            }
        }
        int rowsPerGroup = form.groupSize() < 0 ? k : form.groupSize();
        for (int group = 0; group * rowsPerGroup < k; group++) {
            for (int column = 0; column < n; column++) {
                float scale = (float) Math.scalb(1 + random.nextDouble(), -6 - random.nextInt(8));
                if (form.code() == WeightForm.Code.E2M1) {
                    scale = Math.scalb(1f, Math.getExponent(scale));
                }
                matrix.setScale(group, column, random.nextBoolean() ? scale : -scale);
                if (form.hasZeroPoints()) {
                    matrix.setZeroPoint(group, column, random.nextInt(form.maxZeroPoint() + 1));
                }
                if (form.hasFloatZeros()) {
                    matrix.setFloatZero(group, column, (float) (-scale * form.code().middle() * (1 + 0.3 * random.nextGaussian())));
                }
            }
        }
        float[] columnScales = new float[n];
        for (int column = 0; column < n; column++) {
            columnScales[column] = (float) Math.scalb(1 + random.nextDouble(), -random.nextInt(6));
            if (bias) {
                matrix.withBias().setBias(column, (float) random.nextGaussian());
            }
        }
        return (form.hasColumnScales() ? matrix.withColumnScales(columnScales) : matrix).build();
    }

    /** Any two of every four rows, or fewer, with every code equally likely; the others 0. */
    public static QuantizedMatrix sparse(int k, int n, int groupSize, DataType scaleType, boolean bias, long seed) {
        return sparseBuilder(k, n, groupSize, scaleType, bias, seed).build();
    }

    /** The same, not yet built. */
    public static QuantizedMatrix.Builder sparseBuilder(int k, int n, int groupSize, DataType scaleType, boolean bias, long seed) {
        Random random = new Random(seed);
        var matrix = QuantizedMatrix.builder(k, n, groupSize, scaleType).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        int rowsPerGroup = groupSize < 0 ? k : groupSize;
        for (int column = 0; column < n; column++) {
            for (int row = 0; row < k; row++) {
                matrix.setCode(row, column, QuantizedMatrix.SYMMETRIC_ZERO_POINT);
            }
            for (int quad = 0; quad < k; quad += 4) {
                for (int i = 0; i < 2; i++) {
                    int row = quad + random.nextInt(4);      // may be the same twice
                    if (row < k) {
                        matrix.setCode(row, column, random.nextInt(16));
                    }
                }
            }
            for (int group = 0; group * rowsPerGroup < k; group++) {
                float scale = (float) Math.scalb(1 + random.nextDouble(), -6 - random.nextInt(8));
                matrix.setScale(group, column, random.nextBoolean() ? scale : -scale);
            }
            if (bias) {
                matrix.withBias().setBias(column, (float) random.nextGaussian());
            }
        }
        return matrix;
    }

    /** The same with scales of one size, as a quantizer makes them of a pruned layer. */
    public static QuantizedMatrix sparseLayer(int k, int n, int groupSize, DataType scaleType, boolean bias, long seed) {
        Random random = new Random(seed);
        var matrix = sparseBuilder(k, n, groupSize, scaleType, bias, seed);
        int rowsPerGroup = groupSize < 0 ? k : groupSize;
        for (int group = 0; group * rowsPerGroup < k; group++) {
            for (int column = 0; column < n; column++) {
                matrix.setScale(group, column, (float) (0.01 * (1 + random.nextDouble())));
            }
        }
        return matrix.build();
    }

    private static int clip(double value, int largest) {
        return (int) Math.max(0, Math.min(largest, Math.round(value)));
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
