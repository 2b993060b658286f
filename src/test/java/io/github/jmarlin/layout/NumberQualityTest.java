package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.ByteScales;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.ScaleSource;
import io.github.jmarlin.testing.Errors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What a product differs from fp64 with the numbers that a file holds, for every kind of number and both compute types: Gaussian
 * weights quantized as the format does it, packed, and multiplied by the kernels' arithmetic rounding by rounding: a weight is one
 * fused multiply-add of the type, sums are exact here (the kernels' are fp32, which adds 1e-6), the result is rounded to the type.
 */
final class NumberQualityTest {
    private static final int K = 512;
    private static final int N = 64;
    private static final int M = 16;

    /**
     * A format's numbers.
     *
     * @param levels codes that it uses, from 0 on, or, of symmetric ones, about the middle
     * @param bits of the mantissa of a scale as the file has it: 11 fp16, 8 bf16, 24 a product of two numbers
     */
    private record Format(String name, WeightForm form, DataType scaleType, int levels, int bits) {
        static Format of(String name, Code code, Offset offset, int group, DataType scaleType, int levels) {
            return new Format(name, WeightForm.of(code, offset, group), scaleType, levels,
                    scaleType == DataType.FP16 ? 11 : scaleType == DataType.BF16 ? 8 : 24);
        }
    }

    /**
     * Relative errors in the Frobenius norm.
     *
     * @param packing of the weights as packed, before any rounding of a kernel
     * @param product of a product
     * @param kernel of a product, against fp64 with the weights as packed
     */
    private record Found(double packing, double product, double kernel) {
    }

    private static List<Format> formats() {
        WeightForm nvfp4 = WeightForm.of(Code.E2M1, Offset.MIDDLE, 16).withScaleSource(ScaleSource.GROUP_AND_COLUMN);
        return List.of(
                Format.of("GPTQ, AWQ, compressed-tensors, Q4_0", Code.INT4, Offset.MIDDLE, 32, DataType.FP16, 16),
                Format.of("the same, asymmetric", Code.INT4, Offset.ZERO_POINT, 32, DataType.FP16, 16),
                Format.of("Q4_1, MLX 4-bit, fp16 scales", Code.INT4, Offset.FLOAT_ZERO, 32, DataType.FP16, 16),
                Format.of("MLX 4-bit, bf16 scales", Code.INT4, Offset.FLOAT_ZERO, 64, DataType.BF16, 16),
                Format.of("Q4_K", Code.INT4, Offset.FLOAT_ZERO, 32, DataType.FP32, 16),
                Format.of("GPTQ and compressed-tensors 8-bit, Q8_0", Code.INT8, Offset.MIDDLE, 32, DataType.FP16, 256),
                Format.of("the same, asymmetric", Code.INT8, Offset.ZERO_POINT, 32, DataType.FP16, 256),
                Format.of("Q5_0", Code.INT8, Offset.MIDDLE, 32, DataType.FP16, 32),
                Format.of("Q6_K", Code.INT8, Offset.MIDDLE, 16, DataType.FP32, 64),
                Format.of("Q5_1", Code.INT8, Offset.FLOAT_ZERO, 32, DataType.FP16, 32),
                Format.of("Q5_K", Code.INT8, Offset.FLOAT_ZERO, 32, DataType.FP32, 32),
                Format.of("MLX 8-bit, bf16 scales", Code.INT8, Offset.FLOAT_ZERO, 64, DataType.BF16, 256),
                new Format("NVFP4", nvfp4, DataType.FP16, 16, 4),
                new Format("MXFP4", WeightForm.of(Code.E2M1, Offset.MIDDLE, 32), DataType.FP32, 16, 1));
    }

    /** Gaussian weights in the format's numbers: scales and zeros from the least and greatest of a group, codes to the nearest. */
    private static QuantizedMatrix quantized(Format format, long seed) {
        Random random = new Random(seed);
        WeightForm form = format.form;
        try (QuantizedMatrix.Builder matrix = QuantizedMatrix.builder(K, N, form, format.scaleType)) {
            float[] factors = new float[N];
            java.util.Arrays.fill(factors, 0.02f / 448);
            if (form.hasColumnScales()) {
                matrix.withColumnScales(factors);
            }
            int rows = form.groupSize();
            double[] weights = new double[rows];
            for (int column = 0; column < N; column++) {
                for (int group = 0; group < K / rows; group++) {
                    for (int i = 0; i < rows; i++) {
                        weights[i] = 0.02 * random.nextGaussian();
                    }
                    quantize(format, matrix, group, column, weights);
                }
            }
            return matrix.build();
        }
    }

    private static void quantize(Format format, QuantizedMatrix.Builder matrix, int group, int column, double[] weights) {
        WeightForm form = format.form;
        double least = java.util.Arrays.stream(weights).min().orElseThrow();
        double most = java.util.Arrays.stream(weights).max().orElseThrow();
        double largest = Math.max(-least, most);
        int middle = form.code() == Code.E2M1 ? 0 : form.code().middle();
        double factor = form.hasColumnScales() ? 0.02 / 448 : 1;
        double scale = switch (form.offset()) {
            case MIDDLE -> form.code() == Code.E2M1 ? largest / 6 / factor : largest / (format.levels / 2);
            default -> (Math.max(0, most) - Math.min(0, least)) / (format.levels - 1);
        };
        scale = form.code() != Code.E2M1 ? rounded(scale, format.bits)
                : form.hasColumnScales() ? nearestE4m3(scale) : Math.scalb(1.0, Math.getExponent(scale));
        int zero = form.hasZeroPoints() ? (int) Math.round(-Math.min(0, least) / scale) : middle;
        double floatZero = rounded(least, format.bits);
        matrix.setScale(group, column, (float) scale);
        if (form.hasZeroPoints()) {
            matrix.setZeroPoint(group, column, zero);
        } else if (form.hasFloatZeros()) {
            matrix.setFloatZero(group, column, (float) floatZero);
        }
        int first = form.offset() == Offset.MIDDLE && form.code() == Code.INT8 ? middle - format.levels / 2 : 0;
        for (int i = 0; i < weights.length; i++) {
            double value = form.hasFloatZeros() ? (weights[i] - floatZero) / scale : weights[i] / (scale * factor) + zero;
            int code = form.code() == Code.E2M1 ? nearestFloat(value)
                    : (int) Math.max(first, Math.min(first + format.levels - 1, Math.round(value)));
            matrix.setCode(group * weights.length + i, column, code);
        }
    }

    /** To that many bits of mantissa. */
    private static double rounded(double value, int bits) {
        double unit = Math.ulp(value) * Math.scalb(1.0, 53 - bits);
        return (float) (Math.rint(value / unit) * unit);
    }

    private static double nearestE4m3(double value) {
        double best = 0;
        for (int bits = 0; bits < 127; bits++) {
            double candidate = ByteScales.E4M3.value((byte) bits);
            best = Math.abs(candidate - value) < Math.abs(best - value) ? candidate : best;
        }
        return best;
    }

    private static int nearestFloat(double value) {
        int best = 0;
        for (int code = 0; code < 16; code++) {
            best = Math.abs(Code.E2M1.value(code) - value) < Math.abs(Code.E2M1.value(best) - value) ? code : best;
        }
        return best;
    }

    /** The weight that a kernel makes of what is packed: a fused multiply-add of the type. */
    private static double kernelWeight(QuantizedMatrix matrix, PackedWeights packed, int row, int column, boolean exact) {
        DataType type = packed.computeType();
        WeightForm form = matrix.form();
        int group = row / matrix.rowsPerGroup();
        long at = packed.layout().scaleOffset(group, column);
        double unit = ShiftedScales.unitValue(form, type, column);
        double scale = HalfFloats.decode(type, packed.scales().getShort(at));
        double code = form.code().value(matrix.code(row, column)) * unit;
        double weight = form.hasFloatZeros() ? code * scale + HalfFloats.decode(type, packed.zeros().getShort(at))
                : (code - matrix.zeroPoint(group, column) * unit) * scale;
        double factor = packed.factors().getFloat(4L * column);
        return (exact ? weight : HalfFloats.decode(type, HalfFloats.encode(type, weight))) * factor;
    }

    private static Found measure(Format format, DataType type) {
        Random random = new Random(7);
        double[] a = new double[M * K];
        for (int i = 0; i < a.length; i++) {
            a[i] = HalfFloats.decode(type, HalfFloats.encode(type, random.nextGaussian()));
        }
        double[] ofFile = new double[M * N];
        double[] ofPacked = new double[M * N];
        double[] found = new double[M * N];
        double lost = 0;
        double all = 0;
        try (QuantizedMatrix matrix = quantized(format, 5); PackedWeights packed = PackedWeights.pack(matrix, type)) {
            for (int column = 0; column < N; column++) {
                for (int row = 0; row < K; row++) {
                    double weight = matrix.exactWeight(row, column);
                    double exact = kernelWeight(matrix, packed, row, column, true);
                    double rounded = kernelWeight(matrix, packed, row, column, false);
                    lost += (exact - weight) * (exact - weight);
                    all += weight * weight;
                    for (int i = 0; i < M; i++) {
                        ofFile[i * N + column] += a[i * K + row] * weight;
                        ofPacked[i * N + column] += a[i * K + row] * exact;
                        found[i * N + column] += a[i * K + row] * rounded;
                    }
                }
            }
        }
        float[] results = new float[found.length];
        for (int i = 0; i < found.length; i++) {
            results[i] = HalfFloats.decode(type, HalfFloats.encode(type, found[i]));
        }
        return new Found(Math.sqrt(lost / all), Errors.relativeFrobenius(ofFile, results), Errors.relativeFrobenius(ofPacked, results));
    }

    /** The README's table is this one, and against the packed numbers every product keeps what is promised. */
    @Test
    @Tag("source-tree")
    void theReadmeStatesTheseErrors() throws IOException {
        String readme = Files.readString(Path.of("README.md"));
        StringBuilder table = new StringBuilder();
        for (Format format : formats()) {
            StringBuilder row = new StringBuilder("| ").append(format.name).append(" |");
            for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
                Found errors = measure(format, type);
                row.append(errors.packing == 0 ? " none" : String.format(Locale.ROOT, " %.1e", errors.packing))
                        .append(String.format(Locale.ROOT, " | %.1e |", errors.product));
                double promised = type == DataType.BF16 ? 3.5e-3 : format.form.storesOffsets() ? 4.5e-4 : 3e-4;
                assertTrue(errors.kernel <= promised, format + " in " + type + ": " + errors);
            }
            table.append(row).append('\n');
        }
        String text = table.toString().replace("e-0", "e-");
        text.lines().forEach(row -> assertTrue(readme.contains(row), "README.md has another table than\n" + text));
    }
}
