package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.StripedLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * The product of up to 16 rows of activations with one tile of weights, 512 columns wide. Its loops are written so that the JIT
 * compiler turns them into vector instructions, with these habits of it in mind (NOTES):
 * <ul>
 *   <li>a loop over arrays of their own, all indexed by the plain loop variable, becomes vectors; over parts of one array at
 *       variable offsets it may not;
 *   <li>short loops do not pay, hence tiles of 256 pairs of columns;
 *   <li>conversion from int to float stays scalar, hence {@link #decode}: a code's bits under the exponent of 2^23 are the float
 *       2^23 + q, and a bulk copy through a byte buffer turns an int's bits into a float.
 * </ul>
 *
 * <p>Columns are kept as pairs: x is column 2 x + h of the tile, with h = 0 and 1 in arrays apart, because the nibbles of a byte
 * are such a pair.
 */
final class TileProduct {
    /** Strips side by side in a tile. */
    static final int STRIPS = 8;
    /** Pairs of columns of a tile: the length of every inner loop. */
    static final int PAIRS = STRIPS * StripedLayout.BLOCK / 2;
    /** The most rows of a tile: their sums and the decoded codes share the first-level cache. */
    static final int MAX_ROWS = 16;

    private static final int BLOCK_WORDS = StripedLayout.BLOCK_BYTES / Integer.BYTES;
    private static final int STRIP_PAIRS = StripedLayout.BLOCK / 2;
    /** Words of a lane times threads of a quad: the (j, t) of the layout, each with codes of four rows. */
    private static final int WORD_ROWS = 16;
    /** Codes of a word: two columns of four rows. */
    private static final int WORD_CODES = 8;
    /** The bits of the float 2^23, whose mantissa counts ones. */
    private static final int EXPONENT = 0x4b000000;
    /** What a decoded code has too much: 2^23, and the 8 that symmetric codes are centred on. */
    private static final float DECODED_ZERO = 0x1p23f + 8;

    private final PackedWeights weights;
    private final TileScales scales;
    private final int tile;
    private final IntBuffer[] strips;
    private final int[] blockWords = new int[BLOCK_WORDS];
    private final int[][] words = new int[WORD_ROWS][PAIRS];
    private final int[] bits = new int[WORD_CODES * PAIRS];
    private final IntBuffer bitsOut;
    private final FloatBuffer floatsIn;
    /** Decoded codes plus {@link #DECODED_ZERO}, {@code [4 h + 2 e + p][pair]}. */
    private final float[][] codes = new float[WORD_CODES][PAIRS];
    /** Sums of a segment, {@code [2 row + h][pair]}. */
    private final float[][] segment = new float[2 * MAX_ROWS][PAIRS];
    /** Scaled sums of all segments so far, {@code [2 row + h][pair]}. */
    private final float[][] total = new float[2 * MAX_ROWS][PAIRS];

    TileProduct(PackedWeights weights, TileScales scales, int tile) {
        this.weights = weights;
        this.scales = scales;
        this.tile = tile;
        strips = new IntBuffer[Math.min(STRIPS, weights.strips() - tile * STRIPS)];
        StripedLayout layout = weights.layout();
        for (int i = 0; i < strips.length; i++) {
            long offset = layout.blockOffset(tile * STRIPS + i, 0);
            strips[i] = weights.codes().slice(offset, (int) layout.stripCodeBytes()).asIntBuffer();
        }
        ByteBuffer pun = ByteBuffer.allocate(bits.length * Integer.BYTES).order(ByteOrder.nativeOrder());
        bitsOut = pun.asIntBuffer();
        floatsIn = pun.asFloatBuffer();
    }

    /** Computes rows {@code begin} to {@code end - 1} of the product. */
    void multiply(Activations activations, int begin, int end) {
        int segmentRows = Activations.segmentRows(weights.layout());
        int kBlocks = weights.kBlocks();
        for (int block = 0; block < kBlocks; block++) {
            readWords(block);
            for (int wordRow = 0; wordRow < WORD_ROWS; wordRow++) {
                decode(words[wordRow]);
                int k = block * StripedLayout.BLOCK + wordRow / 4 * 16 + wordRow % 4 * 2;
                accumulate(activations, begin, end, k);
                int rowsDone = block * StripedLayout.BLOCK + (wordRow + 1) * (StripedLayout.BLOCK / WORD_ROWS);
                boolean isLast = rowsDone == kBlocks * StripedLayout.BLOCK;
                if (isLast || wordRow % 8 == 7 && rowsDone % segmentRows == 0) {
                    endSegment(activations, begin, end, (rowsDone - 1) / segmentRows);
                }
            }
        }
    }

    /** Reads the codes of one block of all strips, transposed: {@code words[4 j + t][pair]}. */
    private void readWords(int block) {
        for (int strip = 0; strip < strips.length; strip++) {
            strips[strip].get(block * BLOCK_WORDS, blockWords);
            transpose(blockWords, words, strip * STRIP_PAIRS);
        }
    }

    private static void transpose(int[] blockWords, int[][] words, int firstPair) {
        for (int j = 0; j < 4; j++) {
            for (int t = 0; t < 4; t++) {
                int[] target = words[4 * j + t];
                for (int r = 0; r < 8; r++) {
                    for (int s = 0; s < 4; s++) {
                        target[firstPair + 4 * r + s] = blockWords[s * 128 + r * 16 + t * 4 + j];
                    }
                }
            }
        }
    }

    /** Splits words into the codes they hold, as floats. */
    private void decode(int[] words) {
        split(words, bits);
        bitsOut.put(0, bits);
        for (int i = 0; i < WORD_CODES; i++) {
            floatsIn.get(i * PAIRS, codes[i]);
        }
    }

    /** Bits 16 e + 8 p + 4 h of the words go to part 4 h + 2 e + p. */
    private static void split(int[] words, int[] bits) {
        for (int x = 0; x < PAIRS; x++) {
            int word = words[x];
            bits[x] = word & 15 | EXPONENT;
            bits[x + PAIRS] = word >>> 8 & 15 | EXPONENT;
            bits[x + 2 * PAIRS] = word >>> 16 & 15 | EXPONENT;
            bits[x + 3 * PAIRS] = word >>> 24 & 15 | EXPONENT;
            bits[x + 4 * PAIRS] = word >>> 4 & 15 | EXPONENT;
            bits[x + 5 * PAIRS] = word >>> 12 & 15 | EXPONENT;
            bits[x + 6 * PAIRS] = word >>> 20 & 15 | EXPONENT;
            bits[x + 7 * PAIRS] = word >>> 28 & 15 | EXPONENT;
        }
    }

    /** Adds the products of rows k, k + 8, k + 1 and k + 9 of the weights, the decoded ones, to the sums of the segment. */
    private void accumulate(Activations activations, int begin, int end, int k) {
        int row = begin;
        for (; row + 4 <= end; row += 4) {
            for (int h = 0; h < 2; h++) {
                int at = 2 * (row - begin) + h;
                addFour(codes[4 * h], codes[4 * h + 1], codes[4 * h + 2], codes[4 * h + 3], k,
                        activations.row(row), activations.row(row + 1), activations.row(row + 2), activations.row(row + 3),
                        segment[at], segment[at + 2], segment[at + 4], segment[at + 6]);
            }
        }
        for (; row < end; row++) {
            for (int h = 0; h < 2; h++) {
                addOne(codes[4 * h], codes[4 * h + 1], codes[4 * h + 2], codes[4 * h + 3], k, activations.row(row),
                        segment[2 * (row - begin) + h]);
            }
        }
    }

    private static void addOne(float[] w0, float[] w8, float[] w1, float[] w9, int k, float[] a, float[] sum) {
        float a0 = a[k];
        float a8 = a[k + 8];
        float a1 = a[k + 1];
        float a9 = a[k + 9];
        for (int x = 0; x < PAIRS; x++) {
            sum[x] = Math.fma(a9, w9[x] - DECODED_ZERO, Math.fma(a1, w1[x] - DECODED_ZERO,
                    Math.fma(a8, w8[x] - DECODED_ZERO, Math.fma(a0, w0[x] - DECODED_ZERO, sum[x]))));
        }
    }

    /** {@link #addOne} for four rows a, b, c, d at a time, which share the decoded codes. */
    private static void addFour(float[] w0, float[] w8, float[] w1, float[] w9, int k, float[] a, float[] b, float[] c, float[] d,
            float[] sumA, float[] sumB, float[] sumC, float[] sumD) {
        float a0 = a[k];
        float a8 = a[k + 8];
        float a1 = a[k + 1];
        float a9 = a[k + 9];
        float b0 = b[k];
        float b8 = b[k + 8];
        float b1 = b[k + 1];
        float b9 = b[k + 9];
        float c0 = c[k];
        float c8 = c[k + 8];
        float c1 = c[k + 1];
        float c9 = c[k + 9];
        float d0 = d[k];
        float d8 = d[k + 8];
        float d1 = d[k + 1];
        float d9 = d[k + 9];
        for (int x = 0; x < PAIRS; x++) {
            float q0 = w0[x] - DECODED_ZERO;
            float q8 = w8[x] - DECODED_ZERO;
            float q1 = w1[x] - DECODED_ZERO;
            float q9 = w9[x] - DECODED_ZERO;
            sumA[x] = Math.fma(a9, q9, Math.fma(a1, q1, Math.fma(a8, q8, Math.fma(a0, q0, sumA[x]))));
            sumB[x] = Math.fma(b9, q9, Math.fma(b1, q1, Math.fma(b8, q8, Math.fma(b0, q0, sumB[x]))));
            sumC[x] = Math.fma(c9, q9, Math.fma(c1, q1, Math.fma(c8, q8, Math.fma(c0, q0, sumC[x]))));
            sumD[x] = Math.fma(d9, q9, Math.fma(d1, q1, Math.fma(d8, q8, Math.fma(d0, q0, sumD[x]))));
        }
    }

    /** Scales the sums of a segment, adds them to the total and clears them. */
    private void endSegment(Activations activations, int begin, int end, int segmentIndex) {
        int scaleRow = weights.layout().isOneGroup() ? 0 : segmentIndex;
        for (int row = begin; row < end; row++) {
            float activationSum = activations.sum(row, segmentIndex);
            for (int h = 0; h < 2; h++) {
                int at = 2 * (row - begin) + h;
                float[] zeroTerms = scales.zeroTerms(tile, scaleRow, h);
                if (zeroTerms != null) {
                    addZeroTerms(zeroTerms, activationSum, total[at]);
                }
                addScaled(segment[at], scales.scales(tile, scaleRow, h), total[at]);
            }
        }
    }

    private static void addScaled(float[] segment, float[] scales, float[] total) {
        for (int x = 0; x < PAIRS; x++) {
            total[x] = Math.fma(segment[x], scales[x], total[x]);
            segment[x] = 0;
        }
    }

    private static void addZeroTerms(float[] zeroTerms, float activationSum, float[] total) {
        for (int x = 0; x < PAIRS; x++) {
            total[x] = Math.fma(zeroTerms[x], activationSum, total[x]);
        }
    }

    /** Writes a computed row with its bias, from {@code element} of {@code c}, where the row's first column lies, on. */
    void write(int row, DataType type, ByteBuffer c, long element) {
        int firstColumn = tile * STRIPS * StripedLayout.BLOCK;
        int columns = Math.min(2 * PAIRS, weights.n() - firstColumn);
        int at = Math.toIntExact((element + firstColumn) * type.bytes());
        for (int column = 0; column < columns; column++) {
            float value = total[2 * row + column % 2][column / 2];
            if (weights.hasBias()) {
                value += weights.bias().getFloat((long) (firstColumn + column) * Float.BYTES);
            }
            if (type == DataType.FP32) {
                c.putFloat(at + column * Float.BYTES, value);
            } else {
                c.putShort(at + column * Short.BYTES, HalfFloats.encode(type, value));
            }
        }
    }
}
