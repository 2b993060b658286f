package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.gguf.GgufBlocks;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;

/**
 * A matrix of GGUF blocks. The file runs down a column where the matrix runs along a row, so blocks are turned over eight columns and
 * eight rows at a time:
 * <pre>
 *   words[j] = rows i .. i + 7 of column c + j  --Octets.transpose-->  words[i] = columns c .. c + 7 of row i
 * </pre>
 */
final class GgufLayer extends LayerSource {
    private static final int OCTET = 8;
    /** Columns that are read together: a block row of them meets in the cache. */
    private static final int COLUMNS = 512;
    private static final long SLAB_BYTES = 1 << 29;

    private final Tensor weight;
    private final GgufBlocks blocks;
    private final GgufType type;
    private final int rowBytes;

    GgufLayer(Facts facts, Tensor weight, GgufBlocks blocks) {
        super(facts);
        this.weight = weight;
        this.blocks = blocks;
        this.type = blocks.type();
        this.rowBytes = Math.toIntExact(weight.shape().get(1));
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        int step = (int) Math.min(COLUMNS, SLAB_BYTES / rowBytes) / OCTET * OCTET;
        for (int first = from; first < to; first += step) {
            int width = Math.min(step, to - first);
            ByteBuffer bytes = weight.slice((long) first * rowBytes, width * rowBytes);
            for (int block = 0; block < k() / type.blockElements(); block++) {
                codes(matrix.codes(), bytes, block, first - from, width, to - from);
                parameters(matrix, bytes, block, first, first - from, width, to - from);
            }
        }
    }

    /** Writes the codes of a block of rows: columns {@code [column, column + width)} of n. */
    private void codes(NativeMemory codes, ByteBuffer bytes, int block, int column, int width, int n) {
        long[] words = new long[OCTET];
        long[][] rows = new long[OCTET][(width + OCTET - 1) / OCTET];
        for (int octet = 0; octet < type.blockElements() / OCTET; octet++) {
            for (int first = 0; first < width; first += OCTET) {
                int count = Math.min(OCTET, width - first);
                for (int j = 0; j < count; j++) {
                    words[j] = blocks.octet(bytes, (first + j) * rowBytes + block * type.blockBytes(), octet);
                }
                Octets.transpose(words);
                for (int i = 0; i < OCTET; i++) {
                    rows[i][first / OCTET] = words[i];
                }
            }
            long row = (long) block * type.blockElements() + octet * OCTET;
            for (int i = 0; i < OCTET; i++) {
                put(codes, row + i, rows[i], column, width, n);
            }
        }
    }

    private void put(NativeMemory codes, long row, long[] octets, int column, int width, int n) {
        int perByte = Byte.SIZE / blocks.bits();
        long stride = (n + perByte - 1) / perByte;
        ByteBuffer target = codes.slice(row * stride + column / perByte, (width + perByte - 1) / perByte);
        int whole = width / OCTET;
        for (int i = 0; i < whole; i++) {
            if (perByte == 1) {
                target.putLong(octets[i]);
            } else {
                target.putInt(Octets.nibbles(octets[i]));
            }
        }
        if (target.hasRemaining()) {
            long rest = perByte == 1 ? octets[whole] : Octets.nibbles(octets[whole]) & 0xffffffffL >>> 32 - 4 * (width % OCTET);
            while (target.hasRemaining()) {
                target.put((byte) rest);
                rest >>>= Byte.SIZE;
            }
        }
    }

    /** Writes the scales of a block of rows, and the minima if there are any. */
    private void parameters(QuantizedMatrix.Builder matrix, ByteBuffer bytes, int block, int first, int column, int width, int n) {
        int groups = type.blockElements() / blocks.groupSize();
        int size = scaleType().bytes();
        for (int group = 0; group < groups; group++) {
            long offset = ((long) (block * groups + group) * n + column) * size;
            ByteBuffer scales = matrix.scales().slice(offset, width * size);
            ByteBuffer minima = blocks.hasMinimum() ? matrix.floatZeros().slice(offset, width * size) : null;
            for (int j = 0; j < width; j++) {
                int at = j * rowBytes + block * type.blockBytes();
                put(scales, blocks.scale(bytes, at, group), first + j, block);
                if (minima != null) {
                    put(minima, blocks.minimum(bytes, at, group), first + j, block);
                }
            }
        }
    }

    private void put(ByteBuffer target, float value, int column, int block) {
        if (!Float.isFinite(value)) {
            throw weight.malformed((long) column * rowBytes + (long) block * type.blockBytes(), "a scale or minimum of " + value
                    + " in a block of " + type, "must be finite");
        }
        if (scaleType().is16Bit()) {
            target.putShort(HalfFloats.encode(scaleType(), value));
        } else {
            target.putFloat(value);
        }
    }
}
