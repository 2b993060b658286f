package io.github.jmarlin.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.testing.FileNumbers;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What a GPU kernel's arithmetic costs of the numbers that a file holds: scales and float zeros rounded to the compute type when they
 * are packed, a code scaled with one rounding, sums in (here) doubles, one rounding of the output. README's accuracy table.
 */
final class KernelArithmeticTest {
    private static final int K = 2048;
    private static final int N = 64;
    private static final int M = 32;

    /** Formats, fp16, bf16. */
    private static final Pattern ROW = Pattern.compile("(?m)^\\| ([A-Z0-9_, ]+) \\|[^|]*\\| (\\S+e-\\d) \\| (\\S+e-\\d)[^|]*\\|$");
    /** Of what a figure with two digits may be off. */
    private static final double ROUNDED = 0.04;

    /** README's table has every format, and its figures are the errors of the worst of each row. */
    @Test
    @Tag("source-tree")
    void theReadmeStatesTheErrors() throws IOException {
        Set<FileNumbers> stated = EnumSet.noneOf(FileNumbers.class);
        for (MatchResult row : ROW.matcher(Files.readString(Path.of("README.md"))).results().toList()) {
            double fp16 = 0;
            double bf16 = 0;
            for (String name : row.group(1).split(", ")) {
                FileNumbers numbers = FileNumbers.valueOf(name);
                stated.add(numbers);
                fp16 = Math.max(fp16, error(numbers, DataType.FP16));
                bf16 = Math.max(bf16, error(numbers, DataType.BF16));
            }
            assertEquals(fp16, Double.parseDouble(row.group(2)), ROUNDED * fp16, row.group(1) + " in fp16");
            assertEquals(bf16, Double.parseDouble(row.group(3)), ROUNDED * bf16, row.group(1) + " in bf16");
        }
        assertEquals(EnumSet.allOf(FileNumbers.class), stated);
    }

    /** Numbers that the compute type holds: then nothing is lost but in a product, and that is within what is promised. */
    @ParameterizedTest
    @EnumSource
    void numbersOfTheComputeTypeAreWithinThePromise(FileNumbers numbers) {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            try (QuantizedMatrix matrix = numbers.matrix(K, N, 5); PackedWeights packed = PackedWeights.pack(matrix, type);
                    QuantizedMatrix rounded = packed.unpack()) {
                double error = error(rounded, packed);
                double promised = type == DataType.BF16 ? 3.5e-3
                        : numbers.form().storesOffsets() || numbers.form().code() == WeightForm.Code.INT8 ? 4.5e-4 : 3e-4;
                assertTrue(error <= promised, numbers + " in " + type + ": " + error + ", promised " + promised);
            }
        }
    }

    private static double error(FileNumbers numbers, DataType type) {
        try (QuantizedMatrix matrix = numbers.matrix(K, N, 5); PackedWeights packed = PackedWeights.pack(matrix, type)) {
            return error(matrix, packed);
        }
    }

    /** The relative error, in the Frobenius norm, of the product with packed weights against that with the matrix. */
    private static double error(QuantizedMatrix matrix, PackedWeights packed) {
        DataType type = packed.computeType();
        float[] a = TestMatrices.gaussian(M * K, 9);
        for (int i = 0; i < a.length; i++) {
            a[i] = HalfFloats.decode(type, HalfFloats.encode(type, a[i]));
        }
        double[] expected = ReferenceProduct.multiply(matrix, a, M);
        double[] weights = kernelWeights(packed);
        double error = 0;
        double size = 0;
        for (int i = 0; i < M; i++) {
            double[] sums = new double[N];
            for (int l = 0; l < K; l++) {
                for (int j = 0; j < N; j++) {
                    sums[j] += a[i * K + l] * weights[l * N + j];
                }
            }
            for (int j = 0; j < N; j++) {
                double lost = round(type, sums[j] * packed.factors().getFloat(4L * j)) - expected[i * N + j];
                error += lost * lost;
                size += expected[i * N + j] * expected[i * N + j];
            }
        }
        return Math.sqrt(error / size);
    }

    /** {@code [k][n]} as a kernel has them in its registers. */
    private static double[] kernelWeights(PackedWeights packed) {
        StripedLayout layout = packed.layout();
        WeightForm form = packed.form();
        DataType type = packed.computeType();
        double[] weights = new double[packed.k() * packed.n()];
        for (int row = 0; row < packed.k(); row++) {
            for (int column = 0; column < packed.n(); column++) {
                long at = layout.scaleOffset(row / layout.rowsPerGroup(), column);
                double scale = HalfFloats.decode(type, packed.scales().getShort(at));
                double zero = form.storesOffsets() ? HalfFloats.decode(type, packed.zeros().getShort(at)) : 0;
                double unit = ShiftedScales.unitValue(form, type, column);
                double code = form.code().value(layout.code(packed.codes(), row, column)) * unit;
                double weight = switch (form.offset()) {
                    case FLOAT_ZERO -> code * scale + zero;
                    case ZERO_POINT -> (code + zero) * scale;
                    case MIDDLE -> code * scale + round(type, -form.code().middle() * unit * scale);
                };
                weights[row * packed.n() + column] = round(type, weight);
            }
        }
        return weights;
    }

    private static double round(DataType type, double value) {
        return HalfFloats.decode(type, HalfFloats.encode(type, value));
    }
}
