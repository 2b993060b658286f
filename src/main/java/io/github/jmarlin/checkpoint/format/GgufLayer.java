package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.gguf.GgufBlocks;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.layout.ColumnStrips;
import io.github.jmarlin.layout.StripSource;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.StripedPacker;
import io.github.jmarlin.memory.MemoryPool;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A matrix of GGUF blocks. The file runs down a column, as the striped layout does: {@link #pack} takes the codes as they lie. A matrix
 * runs along a row: for {@link #read} blocks are turned over eight columns and eight rows at a time:
 * <pre>
 *   words[j] = rows i .. i + 7 of column c + j  --Octets.transpose-->  words[i] = columns c .. c + 7 of row i
 * </pre>
 */
final class GgufLayer extends LayerSource {
    private static final int OCTET = 8;
    /** Columns that are read together: a block row of them meets in the cache. */
    private static final int COLUMNS = 512;
    private static final int SLAB_BYTES = 4 << 20;

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
        int step = (int) Math.max(1, Math.min(COLUMNS, SLAB_BYTES / rowBytes) / OCTET) * OCTET;
        byte[] bytes = new byte[Math.min(step, to - from) * rowBytes];
        for (int first = from; first < to; first += step) {
            int width = Math.min(step, to - first);
            weight.slice((long) first * rowBytes, width * rowBytes).get(bytes, 0, width * rowBytes);
            for (int block = 0; block < k() / type.blockElements(); block++) {
                codes(matrix.codes(), bytes, block, first - from, width, to - from);
                parameters(matrix, bytes, block, first, first - from, width, to - from);
            }
        }
    }

    /** The striped layout wants codes down columns, as the file has them: they are packed without a matrix between. */
    @Override
    public PackedWeights pack(int from, int to, DataType computeType, MemoryPool pool) {
        checkColumns(from, to);
        return StripedPacker.pack(new Columns(from, to), computeType, pool);
    }

    private final class Columns implements StripSource {
        private final int from;
        private final int to;

        Columns(int from, int to) {
            this.from = from;
            this.to = to;
        }

        @Override
        public StripedLayout layout() {
            return new StripedLayout(k(), to - from, form());
        }

        @Override
        public DataType scaleType() {
            return GgufLayer.this.scaleType();
        }

        @Override
        public float[] bias() {
            return facts().bias() == null ? null : Floats.read(facts().bias(), from, to);
        }

        @Override
        public Strip strip(int index) {
            return new BlocksStrip(layout(), index, from);
        }
    }

    /** 64 columns of the file. */
    private final class BlocksStrip extends ColumnStrips {
        private final int first;
        private final int width;
        private final byte[] bytes;

        /** Strip {@code index} of the columns from {@code from} on. */
        BlocksStrip(StripedLayout layout, int index, int from) {
            super(layout, index, Math.max(StripedLayout.BLOCK, type.blockElements()));
            first = from + index * StripedLayout.BLOCK;
            width = Math.min(StripedLayout.BLOCK, layout.n() - index * StripedLayout.BLOCK);
            bytes = new byte[Math.multiplyExact(width, rowBytes)];
            weight.slice((long) first * rowBytes, bytes.length).get(bytes);
        }

        @Override
        protected void octets(int row, long[] octets) {
            int stride = octets.length / StripedLayout.BLOCK;
            int octetsOfBlock = type.blockElements() / OCTET;
            for (int octet = 0; octet < stride; octet += octetsOfBlock) {
                int block = row / type.blockElements() + octet / octetsOfBlock;
                for (int column = 0; column < width; column++) {
                    int to = column * stride + octet;
                    if (block * type.blockElements() < k()) {
                        blocks.octets(bytes, column * rowBytes + block * type.blockBytes(), octets, to);
                    } else {
                        Arrays.fill(octets, to, to + octetsOfBlock, 0);
                    }
                }
            }
        }

        @Override
        public void parameters(float[] scales, float[] floatZeros) {
            int groups = blocks.groups();
            float[] ofBlock = new float[groups];
            float[] minimaOfBlock = new float[groups];
            for (int block = 0; block < k() / type.blockElements(); block++) {
                for (int column = 0; column < width; column++) {
                    blocks.parameters(bytes, column * rowBytes + block * type.blockBytes(), ofBlock, minimaOfBlock);
                    int at = block * groups * StripedLayout.BLOCK + column;
                    put(ofBlock, scales, at, column, block);
                    if (blocks.hasMinimum()) {
                        put(minimaOfBlock, floatZeros, at, column, block);
                    }
                }
            }
        }

        /** Puts the values of a block's groups from {@code at} on, a row of the strip each. */
        private void put(float[] values, float[] target, int at, int column, int block) {
            for (int group = 0; group < values.length; group++) {
                target[at + group * StripedLayout.BLOCK] = finite(values[group], first + column, block);
            }
        }
    }

    /** Writes the codes of a block of rows: columns {@code [column, column + width)} of n. */
    private void codes(NativeMemory codes, byte[] bytes, int block, int column, int width, int n) {
        long[] words = new long[OCTET];
        long[][] rows = new long[OCTET][(width + OCTET - 1) / OCTET];
        for (int octet = 0; octet < type.blockElements() / OCTET; octet++) {
            int at = block * type.blockBytes();
            for (int first = 0; first < width; first += OCTET) {
                int count = Math.min(OCTET, width - first);
                for (int j = 0; j < count; j++, at += rowBytes) {
                    words[j] = blocks.octet(bytes, at, octet);
                }
                Octets.transpose(words, rows, first / OCTET);
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
        long rest = width % OCTET == 0 ? 0 : octets[whole];
        if (perByte == 1) {
            target.asLongBuffer().put(octets, 0, whole);
        } else {
            int[] words = new int[whole];
            for (int i = 0; i < whole; i++) {
                words[i] = Octets.nibbles(octets[i]);
            }
            target.asIntBuffer().put(words);
            rest = Octets.nibbles(rest) & 0xffffffffL >>> 32 - 4 * (width % OCTET);
        }
        for (int i = whole * OCTET / perByte; i < target.capacity(); i++) {
            target.put(i, (byte) rest);
            rest >>>= Byte.SIZE;
        }
    }

    /** Writes the scales of a block of rows, and the minima if there are any. */
    private void parameters(QuantizedMatrix.Builder matrix, byte[] bytes, int block, int first, int column, int width, int n) {
        int groups = blocks.groups();
        float[][] scales = new float[groups][width];
        float[][] minima = new float[blocks.hasMinimum() ? groups : 0][width];
        float[] ofBlock = new float[groups];
        float[] minimaOfBlock = new float[groups];
        for (int j = 0; j < width; j++) {
            blocks.parameters(bytes, j * rowBytes + block * type.blockBytes(), ofBlock, minimaOfBlock);
            for (int group = 0; group < groups; group++) {
                scales[group][j] = finite(ofBlock[group], first + j, block);
            }
            for (int group = 0; group < minima.length; group++) {
                minima[group][j] = finite(minimaOfBlock[group], first + j, block);
            }
        }
        for (int group = 0; group < groups; group++) {
            long at = (long) (block * groups + group) * n + column;
            put(matrix.scales(), at, scales[group]);
            if (minima.length != 0) {
                put(matrix.floatZeros(), at, minima[group]);
            }
        }
    }

    private float finite(float value, int column, int block) {
        if (!Float.isFinite(value)) {
            throw weight.malformed((long) column * rowBytes + (long) block * type.blockBytes(), "a scale or minimum of " + value
                    + " in a block of " + type, "must be finite");
        }
        return value;
    }

    /** Writes numbers of the scale type from element {@code at} on. */
    private void put(NativeMemory target, long at, float[] values) {
        int size = scaleType().bytes();
        ByteBuffer bytes = target.slice(at * size, values.length * size);
        if (scaleType().is16Bit()) {
            bytes.asShortBuffer().put(Floats.encode(scaleType(), values));
        } else {
            bytes.asFloatBuffer().put(values);
        }
    }
}
