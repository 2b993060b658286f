package io.github.jmarlin.testing;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.ScaleSource;
import java.util.Arrays;
import java.util.Random;

/** Normally distributed weights in the numbers of checkpoint formats: which precision their scales and zeros have. */
public enum FileNumbers {
    /** 4-bit, a half for 32. */
    Q4_0(WeightForm.int4(32, false), DataType.FP16, 15, 0),
    /** 4-bit with a half for the smallest of 32. */
    Q4_1(WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, 32), DataType.FP16, 15, 0),
    /** 4-bit; scales and smallest values of 32 are six bits times a half for 256. */
    Q4_K(WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, 32), DataType.FP32, 15, 63),
    /** 5-bit, otherwise as Q4_1. */
    Q5_1(WeightForm.of(Code.INT8, Offset.FLOAT_ZERO, 32), DataType.FP16, 31, 0),
    /** 5-bit, otherwise as Q4_K. */
    Q5_K(WeightForm.of(Code.INT8, Offset.FLOAT_ZERO, 32), DataType.FP32, 31, 63),
    /** 6-bit; scales of 16 are eight bits times a half for 256. */
    Q6_K(WeightForm.of(Code.INT8, Offset.MIDDLE, 16), DataType.FP32, 63, 127),
    /** 8-bit, a half for 32. */
    Q8_0(WeightForm.of(Code.INT8, Offset.MIDDLE, 32), DataType.FP16, 255, 0),
    /** MLX 4-bit in halves. */
    MLX_4_FP16(WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, 64), DataType.FP16, 15, 0),
    /** MLX 4-bit in bf16. */
    MLX_4_BF16(WeightForm.of(Code.INT4, Offset.FLOAT_ZERO, 64), DataType.BF16, 15, 0),
    /** MLX 8-bit in bf16. */
    MLX_8_BF16(WeightForm.of(Code.INT8, Offset.FLOAT_ZERO, 64), DataType.BF16, 255, 0),
    /** 8-bit with integer zero points. */
    GPTQ_8(WeightForm.of(Code.INT8, Offset.ZERO_POINT, 128), DataType.FP16, 255, 0),
    /** 4-bit floats with a power of two for 32. */
    MXFP4(WeightForm.of(Code.E2M1, Offset.MIDDLE, 32), DataType.FP32, 12, 0),
    /** 4-bit floats with an 8-bit float for 16 and a float for all. */
    NVFP4(WeightForm.of(Code.E2M1, Offset.MIDDLE, 16).withScaleSource(ScaleSource.GROUP_AND_COLUMN), DataType.FP16, 12, 0);

    private static final double SIGMA = 0.02;
    /** Rows of a super block. */
    private static final int SUPER_BLOCK = 256;

    private final WeightForm form;
    private final DataType scaleType;
    /** The largest value of a code less the smallest. */
    private final int steps;
    /** The largest integer that a scale is of a super block's, or 0. */
    private final int scaleSteps;

    FileNumbers(WeightForm form, DataType scaleType, int steps, int scaleSteps) {
        this.form = form;
        this.scaleType = scaleType;
        this.steps = steps;
        this.scaleSteps = scaleSteps;
    }

    /** What a weight is. */
    public WeightForm form() {
        return form;
    }

    /** A matrix of normally distributed weights in such numbers; k is a multiple of 256. */
    public QuantizedMatrix matrix(int k, int n, long seed) {
        Random random = new Random(seed);
        var matrix = QuantizedMatrix.builder(k, n, form, scaleType);
        int rows = form.groupSize();
        float[] columnScales = new float[n];
        Arrays.fill(columnScales, 0x1.9p-11f);
        for (int column = 0; column < n; column++) {
            double[] weights = new double[k];
            for (int row = 0; row < k; row++) {
                weights[row] = SIGMA * random.nextGaussian();
            }
            double[] scales = new double[k / rows];
            double[] zeros = new double[k / rows];
            for (int group = 0; group < k / rows; group++) {
                range(weights, group * rows, rows, scales, zeros, group);
            }
            if (scaleSteps > 0) {
                inSteps(scales, SUPER_BLOCK / rows, scaleSteps);
                inSteps(zeros, SUPER_BLOCK / rows, scaleSteps);
            }
            for (int group = 0; group < k / rows; group++) {
                quantize(matrix, weights, group, column, scales[group] / (form.hasColumnScales() ? columnScales[column] : 1), zeros[group],
                        columnScales[column]);
            }
        }
        return (form.hasColumnScales() ? matrix.withColumnScales(columnScales) : matrix).build();
    }

    /** The scale of a group, and its smallest value (without float zeros or zero points 0). */
    private void range(double[] weights, int from, int rows, double[] scales, double[] zeros, int group) {
        double low = 0;
        double high = 0;
        for (int row = from; row < from + rows; row++) {
            low = Math.min(low, weights[row]);
            high = Math.max(high, weights[row]);
        }
        scales[group] = form.storesOffsets() ? (high - low) / steps : 2 * Math.max(high, -low) / steps;
        zeros[group] = form.storesOffsets() ? low : 0;
    }

    /** Rounds values to integers times a half for every few of them. */
    private static void inSteps(double[] values, int each, int most) {
        for (int from = 0; from < values.length; from += each) {
            double largest = 0;
            for (int i = from; i < from + each; i++) {
                largest = Math.max(largest, Math.abs(values[i]));
            }
            float unit = HalfFloats.fromFp16(HalfFloats.toFp16((float) (largest / most)));
            for (int i = from; i < from + each; i++) {
                values[i] = unit == 0 ? 0 : unit * (double) Math.round(values[i] / unit);
            }
        }
    }

    private void quantize(QuantizedMatrix.Builder matrix, double[] weights, int group, int column, double scale, double zero, float factor) {
        float given = (float) scale;
        if (form.code() == Code.E2M1) {
            given = form.hasColumnScales() ? eightBits(given) : Math.scalb(1f, Math.getExponent(given));
        }
        matrix.setScale(group, column, given);
        double step = scaleType.is16Bit() ? HalfFloats.decode(scaleType, HalfFloats.encode(scaleType, given)) : given;
        int rows = form.groupSize();
        if (form.hasFloatZeros()) {
            matrix.setFloatZero(group, column, (float) zero);
        }
        int zeroPoint = (int) Math.round(-zero / step);
        if (form.hasZeroPoints()) {
            matrix.setZeroPoint(group, column, zeroPoint);
        }
        for (int row = group * rows; row < (group + 1) * rows; row++) {
            double value = weights[row] / (step * (form.hasColumnScales() ? factor : 1));
            matrix.setCode(row, column, switch (form.offset()) {
                case FLOAT_ZERO -> clip((weights[row] - zero) / step, 0, steps);
                case ZERO_POINT -> clip(value + zeroPoint, 0, steps);
                case MIDDLE -> form.code() == Code.E2M1 ? nearest(value)
                        : clip(value + form.code().middle(), form.code().middle() - (steps + 1) / 2, form.code().middle() + steps / 2);
            });
        }
    }

    /** The nearest e4m3 number, of normal size. */
    private static float eightBits(float value) {
        int exponent = Math.getExponent(value);
        return Math.scalb((float) Math.round(Math.scalb(value, 3 - exponent)), exponent - 3);
    }

    private static int clip(double value, int low, int high) {
        return (int) Math.max(low, Math.min(high, Math.round(value)));
    }

    private static int nearest(double value) {
        int nearest = 0;
        for (int code = 1; code < 16; code++) {
            nearest = Math.abs(Code.E2M1.value(code) - value) < Math.abs(Code.E2M1.value(nearest) - value) ? code : nearest;
        }
        return nearest;
    }
}
