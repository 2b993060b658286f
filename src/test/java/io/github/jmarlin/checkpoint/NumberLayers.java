package io.github.jmarlin.checkpoint;

import io.github.jmarlin.checkpoint.container.TensorType;
import java.nio.ByteBuffer;
import java.util.Random;

/** Layers of 8-bit integers and 4-bit floats as the tools lay them out, each number put where the format's description says. */
public final class NumberLayers {
    /** The divisor of compressed-tensors' NVFP4. */
    public static final float GLOBAL = 2731.5f;

    private NumberLayers() {
    }

    /** MLX: codes of 4 or 8 bits in words, scales and biases. */
    public static TestModel mlx(TestModel model, String name, int[][] codes, int bits, int group, TensorType type) {
        int k = codes.length;
        int n = codes[0].length;
        int groups = k / group;
        return model.add(name + ".weight", TensorType.U32, BitWriter.alongK(codes, bits, 4), n, k * bits / 32)
                .floats(name + ".scales", type, BitWriter.numbers(n * groups, 0.001f, 0.02f, type, 7), n, groups)
                .floats(name + ".biases", type, BitWriter.numbers(n * groups, -0.2f, 0.1f, type, 8), n, groups);
    }

    /** Scales of every exponent that the kind may have beside each other in a column of fp16. */
    public static ByteBuffer scales(int n, int groups, boolean e4m3) {
        BitWriter writer = new BitWriter((long) n * groups);
        for (int i = 0; i < n * groups; i++) {
            writer.put(8L * i, 8, e4m3 ? (i * 37 + 5) % 127 : 100 + (i * 13 + 2) % 28);
        }
        return writer.bytes();
    }

    /** 4-bit floats of compressed-tensors: NVFP4 with a divisor, or MXFP4. */
    public static TestModel compressed(TestModel model, String name, int[][] codes, boolean nvfp4) {
        int k = codes.length;
        int n = codes[0].length;
        int groups = k / (nvfp4 ? 16 : 32);
        model.add(name + ".weight_packed", TensorType.U8, BitWriter.alongK(codes, 4, 1), n, k / 2)
                .add(name + ".weight_scale", nvfp4 ? TensorType.F8_E4M3 : TensorType.U8, scales(n, groups, nvfp4), n, groups);
        return nvfp4 ? model.floats(name + ".weight_global_scale", TensorType.F32, new float[] {GLOBAL}, 1)
                .floats(name + ".input_global_scale", TensorType.F32, new float[] {100}, 1) : model;
    }

    /** ModelOpt's NVFP4, with a factor. */
    public static TestModel modelOpt(TestModel model, String name, int[][] codes) {
        int k = codes.length;
        int n = codes[0].length;
        return model.add(name + ".weight", TensorType.U8, BitWriter.alongK(codes, 4, 1), n, k / 2)
                .add(name + ".weight_scale", TensorType.F8_E4M3, scales(n, k / 16, true), n, k / 16)
                .floats(name + ".weight_scale_2", TensorType.F32, new float[] {0.000123f})
                .floats(name + ".input_scale", TensorType.F32, new float[] {0.01f});
    }

    /** MXFP4 as gpt-oss has it. */
    public static TestModel blocks(String layer, String separator, int[][] codes) {
        int k = codes.length;
        int n = codes[0].length;
        return new TestModel().add(layer + separator + "blocks", TensorType.U8, BitWriter.alongK(codes, 4, 1), n, k / 32, 16)
                .add(layer + separator + "scales", TensorType.U8, scales(n, k / 32, false), n, k / 32);
    }

    /** Four rows of a column in a word; the zero points of four columns in a word, minus one each from the whole word in version 1. */
    public static TestModel gptq(TestModel model, String name, int[][] codes, int group, boolean actOrder, int[][] zeros,
            boolean version2) {
        int k = codes.length;
        int n = codes[0].length;
        int groups = zeros.length;
        BitWriter words = new BitWriter((long) k * n);
        for (int row = 0; row < k; row++) {
            for (int column = 0; column < n; column++) {
                words.put(((long) (row / 4) * n + column) * 32 + row % 4 * 8, 8, codes[row][column]);
            }
        }
        int[] zeroWords = new int[groups * n / 4];
        for (int i = 0; i < zeroWords.length; i++) {
            for (int j = 0; j < 4; j++) {
                zeroWords[i] |= zeros[i / (n / 4)][i % (n / 4) * 4 + j] << 8 * j;
            }
            zeroWords[i] -= version2 ? 0 : 0x01010101;
        }
        int[] groupIndex = new int[k];
        for (int row = 0; row < k; row++) {
            groupIndex[row] = actOrder ? groups - 1 - row % groups : row / group;
        }
        return model.add(name + ".qweight", TensorType.I32, words.bytes(), k / 4, n).ints(name + ".qzeros", zeroWords, groups, n / 4)
                .floats(name + ".scales", TensorType.F16, BitWriter.numbers(groups * n, 1e-4f, 2e-3f, TensorType.F16, 3), groups, n)
                .ints(name + ".g_idx", groupIndex, k);
    }

    /** Zero points of 8-bit codes, 0 among those that are not symmetric. */
    public static int[][] zeros(int groups, int n, boolean symmetric) {
        Random random = new Random(groups + n);
        int[][] zeros = new int[groups][n];
        for (int[] row : zeros) {
            for (int column = 0; column < n; column++) {
                row[column] = symmetric ? 128 : random.nextInt(256);
            }
        }
        zeros[0][0] = symmetric ? 128 : 0;
        return zeros;
    }

    /** compressed-tensors' pack-quantized of 8 bits. */
    public static TestModel packed(TestModel model, String name, int[][] codes, int groups, int[][] zeros) {
        int k = codes.length;
        int n = codes[0].length;
        model.add(name + ".weight_packed", TensorType.I32, BitWriter.alongK(codes, 8, 4), n, (k + 3) / 4)
                .floats(name + ".weight_scale", TensorType.BF16, BitWriter.numbers(n * groups, 1e-4f, 2e-3f, TensorType.BF16, 4), n, groups)
                .longs(name + ".weight_shape", new long[] {n, k}, 2);
        if (zeros == null) {
            return model;
        }
        BitWriter words = new BitWriter((n + 3L) / 4 * groups * 4);
        for (int group = 0; group < groups; group++) {
            for (int column = 0; column < n; column++) {
                words.put(((long) (column / 4) * groups + group) * 32 + column % 4 * 8, 8, zeros[group][column]);
            }
        }
        return model.add(name + ".weight_zero_point", TensorType.I32, words.bytes(), (n + 3) / 4, groups);
    }

    /** compressed-tensors' int-quantized. */
    public static TestModel plain(TestModel model, String name, int[][] codes, int groups, int[][] zeros) {
        int k = codes.length;
        int n = codes[0].length;
        ByteBuffer weights = TestModel.buffer(k * n);
        ByteBuffer offsets = TestModel.buffer(n * groups);
        for (int column = 0; column < n; column++) {
            for (int row = 0; row < k; row++) {
                weights.put(column * k + row, (byte) (codes[row][column] - 128));
            }
            for (int group = 0; zeros != null && group < groups; group++) {
                offsets.put(column * groups + group, (byte) (zeros[group][column] - 128));
            }
        }
        model.add(name + ".weight", TensorType.I8, weights, n, k)
                .floats(name + ".weight_scale", TensorType.F32, BitWriter.numbers(n * groups, 1e-4f, 2e-3f, TensorType.F16, 4), n, groups);
        return zeros == null ? model : model.add(name + ".weight_zero_point", TensorType.I8, offsets, n, groups);
    }
}
