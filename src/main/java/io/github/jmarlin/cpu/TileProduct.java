package io.github.jmarlin.cpu;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;

/**
 * The product of up to 16 rows of activations with one tile of weights, 512 columns wide. Its loops are written so that the JIT
 * compiler turns them into vector instructions. NOTES on what it takes, seen with the C2 of JDK 17:
 * <ul>
 *   <li>a loop over arrays of their own, all indexed by the plain loop variable, becomes vectors; over parts of one array at
 *       variable offsets it does not;
 *   <li>short loops do not pay, hence tiles of 256 pairs of columns;
 *   <li>conversion from int to float stays scalar, hence the detour of {@link TileCodes}. Where few rows share the decoded codes, and
 *       these are 4-bit integers, the activations are integers instead, see {@link FixedPointRow};
 *   <li>of two shifts in a row, as would sign-extend a nibble, nothing becomes vectors; masks do.
 * </ul>
 *
 * <p>Columns are kept as pairs: x is column 2 x + h of the tile, with h = 0 and 1 in arrays apart, because the nibbles of a byte
 * are such a pair.
 */
final class TileProduct {
    /** The most rows of a tile: their sums and the decoded codes share the first-level cache. */
    static final int MAX_ROWS = 16;

    private static final int PAIRS = TileWords.PAIRS;
    /** The middle of 4-bit integers; offsets are a term of their own, see {@link TileScales}. */
    private static final int MIDDLE = WeightForm.Code.INT4.middle();

    private final PackedWeights weights;
    private final TileScales scales;
    private final int tile;
    private final TileWords words;
    private final TileCodes decoder;
    /** Decoded codes plus {@link TileCodes#zero}, {@code [4 h + 2 e + p][pair]}. */
    private final float[][] codes = new float[TileCodes.CODES][PAIRS];
    /** Sums of a segment, {@code [2 row + h][pair]}. */
    private final float[][] segment = new float[2 * MAX_ROWS][PAIRS];
    /** Those of rows in fixed point, in units, with codes taken as 0..15. */
    private final int[][] fixedSegment = new int[2 * Activations.FEW_ROWS][PAIRS];
    /** Scaled sums of all segments so far, {@code [2 row + h][pair]}. */
    private final float[][] total = new float[2 * MAX_ROWS][PAIRS];

    TileProduct(PackedWeights weights, TileScales scales, int tile) {
        this.weights = weights;
        this.scales = scales;
        this.tile = tile;
        words = new TileWords(weights, tile);
        decoder = new TileCodes(weights.form().code(), scales.middle());
    }

    /** Computes rows {@code begin} to {@code end - 1} of the product. */
    void multiply(Activations activations, int begin, int end) {
        int segmentRows = Activations.segmentRows(weights.layout());
        for (int block = 0; block < weights.kBlocks(); block++) {
            words.read(block);
            for (int wordRow = 0; wordRow < TileWords.WORD_ROWS; wordRow++) {
                accumulate(activations, begin, end, wordRow, block * StripedLayout.BLOCK + TileWords.firstRow(wordRow));
                // Words of the same j cover 16 rows, the shortest segment.
                int rowsDone = block * StripedLayout.BLOCK + (wordRow + 1) * (StripedLayout.BLOCK / TileWords.WORD_ROWS);
                if (rowsDone % segmentRows == 0 || rowsDone == weights.paddedK()) {
                    endSegment(activations, begin, end, (rowsDone - 1) / segmentRows);
                }
            }
        }
        for (int row = begin; row < end; row++) {
            int[] places = activations.nonFinite(row);
            for (int h = 0; h < 2 && places != null; h++) {
                NonFinite.multiply(weights, scales, tile, h, activations.row(row), places, total[2 * (row - begin) + h]);
            }
        }
    }

    /** Adds the products of rows k, k + 8, k + 1 and k + 9 of the weights, which the words hold, to the sums of the segment. */
    private void accumulate(Activations activations, int begin, int end, int wordRow, int k) {
        float zero = decoder.zero();
        boolean decoded = false;
        for (int row = begin; row < end; row++) {
            int at = 2 * (row - begin);
            FixedPointRow fixed = activations.fixed(row);
            if (fixed != null) {
                addFixed(words.row(wordRow), fixed.value(k), fixed.value(k + 8), fixed.value(k + 1), fixed.value(k + 9),
                        fixedSegment[at], fixedSegment[at + 1]);
                continue;
            }
            if (!decoded) {
                decoder.decode(words, wordRow, codes);
                decoded = true;
            }
            boolean four = row + 4 <= end;
            for (int h = 0; h < 2; h++) {
                if (four) {
                    addFour(codes[4 * h], codes[4 * h + 1], codes[4 * h + 2], codes[4 * h + 3], zero, k,
                            activations.row(row), activations.row(row + 1), activations.row(row + 2), activations.row(row + 3),
                            segment[at + h], segment[at + 2 + h], segment[at + 4 + h], segment[at + 6 + h]);
                } else {
                    addOne(codes[4 * h], codes[4 * h + 1], codes[4 * h + 2], codes[4 * h + 3], zero, k, activations.row(row),
                            segment[at + h]);
                }
            }
            row += four ? 3 : 0;
        }
    }

    /** Sums may wrap: after {@link #addScaledFixed} takes the middle of the codes away they fit again. */
    private static void addFixed(int[] words, int a0, int a8, int a1, int a9, int[] even, int[] odd) {
        for (int x = 0; x < PAIRS; x++) {
            int word = words[x];
            even[x] += (word & 15) * a0 + (word >>> 8 & 15) * a8 + (word >>> 16 & 15) * a1 + (word >>> 24 & 15) * a9;
            odd[x] += (word >>> 4 & 15) * a0 + (word >>> 12 & 15) * a8 + (word >>> 20 & 15) * a1 + (word >>> 28) * a9;
        }
    }

    private static void addOne(float[] w0, float[] w8, float[] w1, float[] w9, float zero, int k, float[] a, float[] sum) {
        float a0 = a[k];
        float a8 = a[k + 8];
        float a1 = a[k + 1];
        float a9 = a[k + 9];
        for (int x = 0; x < PAIRS; x++) {
            sum[x] = Math.fma(a9, w9[x] - zero, Math.fma(a1, w1[x] - zero,
                    Math.fma(a8, w8[x] - zero, Math.fma(a0, w0[x] - zero, sum[x]))));
        }
    }

    /** {@link #addOne} for four rows a, b, c, d at a time, which share the decoded codes. */
    private static void addFour(float[] w0, float[] w8, float[] w1, float[] w9, float zero, int k, float[] a, float[] b, float[] c, float[] d,
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
            float q0 = w0[x] - zero;
            float q8 = w8[x] - zero;
            float q1 = w1[x] - zero;
            float q9 = w9[x] - zero;
            sumA[x] = Math.fma(a9, q9, Math.fma(a1, q1, Math.fma(a8, q8, Math.fma(a0, q0, sumA[x]))));
            sumB[x] = Math.fma(b9, q9, Math.fma(b1, q1, Math.fma(b8, q8, Math.fma(b0, q0, sumB[x]))));
            sumC[x] = Math.fma(c9, q9, Math.fma(c1, q1, Math.fma(c8, q8, Math.fma(c0, q0, sumC[x]))));
            sumD[x] = Math.fma(d9, q9, Math.fma(d1, q1, Math.fma(d8, q8, Math.fma(d0, q0, sumD[x]))));
        }
    }

    /** Scales the sums of a segment, adds them to the total and clears them. */
    private void endSegment(Activations activations, int begin, int end, int index) {
        int firstRow = index * Activations.segmentRows(weights.layout());
        int scaleRow = weights.layout().isOneGroup() ? 0 : firstRow / weights.groupSize();
        for (int row = begin; row < end; row++) {
            FixedPointRow fixed = activations.fixed(row);
            for (int h = 0; h < 2; h++) {
                int at = 2 * (row - begin) + h;
                float[] columnScales = scales.scales(tile, scaleRow, h);
                if (weights.form().storesOffsets()) {
                    addZeroTerms(scales.zeroTerms(tile, scaleRow, h), activations.sum(row, index), total[at]);
                }
                if (fixed != null) {
                    addScaledFixed(fixedSegment[at], MIDDLE * fixed.sum(index), fixed.unit(index), columnScales, total[at]);
                } else {
                    addScaled(segment[at], columnScales, total[at]);
                }
            }
        }
    }

    private static void addScaledFixed(int[] segment, int middle, float unit, float[] scales, float[] total) {
        for (int x = 0; x < PAIRS; x++) {
            total[x] = Math.fma((segment[x] - middle) * unit, scales[x], total[x]);
            segment[x] = 0;
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

    /** Hands a computed row over. */
    void write(int row, Outputs outputs, long outputRow) {
        outputs.write(outputRow, tile * TileWords.STRIPS * StripedLayout.BLOCK, total[2 * row], total[2 * row + 1]);
    }
}
