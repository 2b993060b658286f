package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.util.function.IntUnaryOperator;

/**
 * Slow second decoders of the formats: every code, scale and weight straight from the bits of the tensors, one number at a time and
 * without anything of the readers.
 */
interface SecondDecoder {
    double[] MAGNITUDES = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

    /** The code of input row {@code row} and out-feature {@code column}, as the matrix has it. */
    int code(int row, int column);

    /** The scale of their group. */
    double scale(int row, int column);

    /** What is subtracted from the code before, or with {@link #addsOffset} added after scaling. */
    double offset(int row, int column);

    default boolean addsOffset() {
        return false;
    }

    /** What a code is worth. */
    default double value(int code) {
        return code;
    }

    /** What all weights are multiplied with besides. */
    default double factor() {
        return 1;
    }

    default double weight(int row, int column) {
        double value = value(code(row, column));
        double scaled = addsOffset() ? value * scale(row, column) + offset(row, column)
                : (value - offset(row, column)) * scale(row, column);
        return scaled * factor();
    }

    /** Bits {@code [bit, bit + width)} of the bytes of a tensor, the lowest of the first byte first. */
    static int bits(Tensor tensor, long bit, int width) {
        int value = 0;
        for (int i = 0; i < width; i++) {
            value |= (tensor.slice((bit + i) / 8, 1).get(0) >>> (int) ((bit + i) % 8) & 1) << i;
        }
        return value;
    }

    /** The number of an element, by the textbook's sum of sign, exponent and mantissa. */
    static double number(Tensor tensor, long element) {
        int width = tensor.type().bits();
        long bits = bits(tensor, element * width, width) & 0xffffffffL;
        return switch (tensor.type()) {
            case F32 -> ieee(bits, 8, 23);
            case F16 -> ieee(bits, 5, 10);
            case BF16 -> ieee(bits, 8, 7);
            case F8_E4M3 -> ieee(bits, 4, 3);
            case U8, F8_E8M0 -> Math.pow(2, bits - 127);
            default -> throw new IllegalArgumentException("" + tensor.type());
        };
    }

    private static double ieee(long bits, int exponentBits, int mantissaBits) {
        long mantissa = bits & (1L << mantissaBits) - 1;
        long exponent = bits >> mantissaBits & (1L << exponentBits) - 1;
        long bias = (1L << exponentBits - 1) - 1;
        double magnitude = exponent == 0 ? Math.pow(2, 1 - bias - mantissaBits) * mantissa
                : Math.pow(2, exponent - bias) * (1 + mantissa / Math.pow(2, mantissaBits));
        return bits >> mantissaBits + exponentBits == 0 ? magnitude : -magnitude;
    }

    /** MLX: a stream of bits for each out-feature; {@code scale * code + bias}. */
    static SecondDecoder mlx(TensorStore store, String name, int bits, int k, int group) {
        Tensor codes = store.require(name + ".weight");
        Tensor scales = store.require(name + ".scales");
        Tensor biases = store.require(name + ".biases");
        int groups = k / group;
        return new SecondDecoder() {
            @Override
            public int code(int row, int column) {
                return bits(codes, ((long) column * k + row) * bits, bits);
            }

            @Override
            public double scale(int row, int column) {
                return number(scales, (long) column * groups + row / group);
            }

            @Override
            public double offset(int row, int column) {
                return number(biases, (long) column * groups + row / group);
            }

            @Override
            public boolean addsOffset() {
                return true;
            }
        };
    }

    /** 4-bit floats, in whatever tensors: a stream of nibbles for each out-feature. */
    static SecondDecoder floats(Tensor codes, Tensor scales, int k, int group, double factor) {
        int groups = k / group;
        return new SecondDecoder() {
            @Override
            public int code(int row, int column) {
                return bits(codes, ((long) column * k + row) * 4, 4);
            }

            @Override
            public double value(int code) {
                return code < 8 ? MAGNITUDES[code] : -MAGNITUDES[code - 8];
            }

            @Override
            public double scale(int row, int column) {
                return group == 16 && scales.type() == TensorType.U8
                        ? ieee(bits(scales, ((long) column * groups + row / group) * 8, 8), 4, 3)
                        : number(scales, (long) column * groups + row / group);
            }

            @Override
            public double offset(int row, int column) {
                return 0;
            }

            @Override
            public double factor() {
                return factor;
            }
        };
    }

    /** GPTQ: words down the columns, zero points along the rows; {@code zeroOfWord} undoes what a version does to a word of them. */
    static SecondDecoder gptq(TensorStore store, String name, int bits, IntUnaryOperator zeroOfWord) {
        Tensor codes = store.require(name + ".qweight");
        Tensor zeros = store.require(name + ".qzeros");
        Tensor scales = store.require(name + ".scales");
        Tensor groupIndex = store.require(name + ".g_idx");
        int n = Math.toIntExact(scales.shape().get(1));
        int perWord = 32 / bits;
        return new SecondDecoder() {
            private int group(int row) {
                return bits(groupIndex, row * 32L, 32);
            }

            @Override
            public int code(int row, int column) {
                return bits(codes, ((long) (row / perWord) * n + column) * 32 + row % perWord * bits, bits);
            }

            @Override
            public double scale(int row, int column) {
                return number(scales, (long) group(row) * n + column);
            }

            @Override
            public double offset(int row, int column) {
                int word = zeroOfWord.applyAsInt(bits(zeros, ((long) group(row) * (n / perWord) + column / perWord) * 32, 32));
                return word >>> column % perWord * bits & (1 << bits) - 1;
            }
        };
    }

    /** compressed-tensors' pack-quantized of 8 bits: four to a word, codes along k, zero points along n. */
    static SecondDecoder packed8(TensorStore store, String name, int k, int group) {
        Tensor codes = store.require(name + ".weight_packed");
        Tensor scales = store.require(name + ".weight_scale");
        Tensor zeros = store.find(name + ".weight_zero_point");
        Tensor groupIndex = store.find(name + ".weight_g_idx");
        int groups = Math.toIntExact(scales.shape().get(1));
        return new SecondDecoder() {
            private int group(int row) {
                return groupIndex == null ? row / group : bits(groupIndex, row * 32L, 32);
            }

            @Override
            public int code(int row, int column) {
                return bits(codes, ((long) column * ((k + 3) / 4) + row / 4) * 32 + row % 4 * 8, 8);
            }

            @Override
            public double scale(int row, int column) {
                return number(scales, (long) column * groups + group(row));
            }

            @Override
            public double offset(int row, int column) {
                return zeros == null ? 128 : bits(zeros, ((long) (column / 4) * groups + group(row)) * 32 + column % 4 * 8, 8);
            }
        };
    }

    /** compressed-tensors' int-quantized: two's complement, which the matrix has plus 128. */
    static SecondDecoder plain8(TensorStore store, String name, int k, int group) {
        Tensor codes = store.require(name + ".weight");
        Tensor scales = store.require(name + ".weight_scale");
        Tensor zeros = store.find(name + ".weight_zero_point");
        int groups = Math.toIntExact(scales.shape().get(1));
        return new SecondDecoder() {
            @Override
            public int code(int row, int column) {
                return codes.slice((long) column * k + row, 1).get(0) + 128;
            }

            @Override
            public double scale(int row, int column) {
                return number(scales, (long) column * groups + row / group);
            }

            @Override
            public double offset(int row, int column) {
                return 128 + (zeros == null ? 0 : zeros.slice((long) column * groups + row / group, 1).get(0));
            }
        };
    }

    /** Reads the layer whole and 64 columns at a time: codes, scales and offsets must be the same bit for bit, weights as exact numbers. */
    static void assertSame(SecondDecoder expected, LayerSource layer) {
        try (QuantizedMatrix whole = layer.read()) {
            assertSame(expected, whole, 0);
        }
        for (int from = 0; from < layer.n(); from += LayerSource.COLUMN_STEP) {
            try (QuantizedMatrix part = layer.read(from, Math.min(layer.n(), from + LayerSource.COLUMN_STEP))) {
                assertSame(expected, part, from);
            }
        }
    }

    private static void assertSame(SecondDecoder expected, QuantizedMatrix matrix, int from) {
        for (int row = 0; row < matrix.k(); row++) {
            int input = matrix.hasInputOrder() ? matrix.inputOrder().get(row) : row;
            int group = row / matrix.rowsPerGroup();
            for (int column = 0; column < matrix.n(); column++) {
                String where = "input " + input + ", column " + (from + column);
                assertEquals(expected.code(input, from + column), matrix.code(row, column), "code of " + where);
                assertEquals(expected.scale(input, from + column) + 0.0, matrix.scale(group, column) + 0.0, "scale of " + where);
                double offset = expected.addsOffset() ? matrix.floatZero(group, column) : matrix.zeroPoint(group, column);
                assertEquals(expected.offset(input, from + column) + 0.0, offset + 0.0, "offset of " + where);
                assertEquals(expected.factor(), matrix.columnScale(column), "factor of " + where);
                assertEquals(expected.weight(input, from + column) + 0.0, matrix.exactWeight(row, column) + 0.0, "weight of " + where);
            }
        }
    }
}
