package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.Words;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The tensors of a layer of integers of compressed-tensors, in either of its formats; see {@link CompressedTensorsFormat}.
 *
 * @param packed pack-quantized, otherwise int-quantized
 * @param bits of a code, 4 or 8
 * @param zeroPoints the tensor of them, or null
 * @param shape the tensor that says n and k, or null
 */
record IntegerParts(boolean packed, int bits, int n, int k, Tensor codes, Tensor scales, Tensor zeroPoints, Tensor shape) {
    /** Two's complement to a code, and back. */
    private static final int SIGN = 0x80;

    static IntegerParts of(TensorStore tensors, String name, boolean packed, int bits, ConfigNode symmetric) {
        Tensor codes = tensors.require(name + (packed ? ".weight_packed" : ".weight"));
        Tensor scales = tensors.require(name + ".weight_scale");
        Tensor zeros = zeroPoints(tensors, name, symmetric, packed);
        Shapes.requireType(codes, packed ? TensorType.I32 : TensorType.I8);
        if (!packed) {
            Shapes.requireRank(codes, 2);
            int n = Shapes.extent(codes, "n", codes.shape().get(0));
            int k = Shapes.extent(codes, "k", codes.shape().get(1));
            return new IntegerParts(false, bits, n, k, codes, scales, zeros, null);
        }
        Tensor shape = tensors.require(name + ".weight_shape");
        long[] size = shape(shape);
        int n = Shapes.extent(shape, "n", size[0]);
        int k = Shapes.extent(shape, "k", size[1]);
        Shapes.require(codes, n, words(k, bits));
        return new IntegerParts(true, bits, n, k, codes, scales, zeros, shape);
    }

    /** Older writers keep the zeros of symmetric bytes. */
    private static Tensor zeroPoints(TensorStore tensors, String name, ConfigNode symmetric, boolean packed) {
        if (!symmetric.bool(true)) {
            return tensors.require(name + ".weight_zero_point");
        }
        Tensor zeros = tensors.find(name + ".weight_zero_point");
        if (zeros != null && (packed || !isZero(zeros))) {
            throw zeros.malformed("a zero point tensor", "key " + symmetric.path() + " is true, which leaves none");
        }
        return null;
    }

    private static boolean isZero(Tensor tensor) {
        ByteBuffer bytes = tensor.bytes() > Integer.MAX_VALUE / 2 ? null : tensor.slice(0, (int) tensor.bytes());
        for (int i = 0; bytes != null && i < bytes.limit(); i++) {
            if (bytes.get(i) != 0) {
                return false;
            }
        }
        return bytes != null;
    }

    private static long words(long count, int bits) {
        return (count * bits + Integer.SIZE - 1) / Integer.SIZE;
    }

    /** The two numbers of {@code weight_shape}: n, k. Older writers use I32. */
    private static long[] shape(Tensor tensor) {
        Shapes.requireType(tensor, TensorType.I64, TensorType.I32);
        Shapes.require(tensor, 2);
        ByteBuffer bytes = tensor.slice(0, (int) tensor.bytes());
        return tensor.type() == TensorType.I64
                ? new long[] {bytes.getLong(0), bytes.getLong(Long.BYTES)}
                : new long[] {bytes.getInt(0), bytes.getInt(Integer.BYTES)};
    }

    /** Checks scales and zero points against a number of groups. */
    void requireGroups(int groups) {
        Shapes.requireType(scales, TensorType.F16, TensorType.BF16, TensorType.F32);
        Shapes.require(scales, n, groups);
        if (zeroPoints != null) {
            Shapes.requireType(zeroPoints, packed ? TensorType.I32 : TensorType.I8);
            Shapes.require(zeroPoints, packed ? words(n, bits) : n, groups);
        }
    }

    /** @param groupIndex the tensor, or null */
    List<Tensor> tensors(Tensor groupIndex) {
        List<Tensor> tensors = new ArrayList<>(List.of(codes, scales));
        for (Tensor other : new Tensor[] {shape, zeroPoints, groupIndex}) {
            if (other != null) {
                tensors.add(other);
            }
        }
        return tensors;
    }

    ColumnCodes codes(int[] inputOrder) {
        return new ColumnCodes(codes, bits, packed ? 0 : SIGN, k, inputOrder);
    }

    /** How to read the zero points; null if there are none. */
    CompressedTensorsLayer.ZeroPoints zeros() {
        return zeroPoints == null ? null : packed ? this::packedZeros : this::plainZeros;
    }

    private int[] packedZeros(int column) {
        int[] words = new int[Math.toIntExact(zeroPoints.shape().get(1))];
        int perWord = Integer.SIZE / bits;
        Words.read(zeroPoints, (long) column / perWord * words.length, words);
        for (int group = 0; group < words.length; group++) {
            words[group] = words[group] >>> bits * (column % perWord) & (1 << bits) - 1;
        }
        return words;
    }

    private int[] plainZeros(int column) {
        int[] zeros = new int[Math.toIntExact(zeroPoints.shape().get(1))];
        ByteBuffer bytes = zeroPoints.slice((long) column * zeros.length, zeros.length);
        for (int group = 0; group < zeros.length; group++) {
            zeros[group] = (bytes.get(group) ^ SIGN) & 0xff;
        }
        return zeros;
    }
}
