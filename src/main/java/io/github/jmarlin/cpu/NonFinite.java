package io.github.jmarlin.cpu;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Rows of activations that hold infinities or NaN, where weights have zero points or float zeros. {@link TileProduct} takes codes and offsets as
 * two sums, and of two infinities of different sign the sum is NaN where their weights' difference gives an infinity. What is finite
 * in such a row does not matter, so only the other activations are multiplied, by whole weights.
 */
final class NonFinite {
    private NonFinite() {
    }

    /** Where the row is not finite, the first NaN alone if there is one: nothing else matters then. */
    static int[] places(float[] row) {
        int[] places = IntStream.range(0, row.length).filter(i -> !Float.isFinite(row[i])).toArray();
        return IntStream.of(places).filter(i -> Float.isNaN(row[i])).mapToObj(i -> new int[] {i}).findFirst().orElse(places);
    }

    /** Writes the row's product with the even (parity 0) or odd columns of a tile. */
    static void multiply(PackedWeights weights, TileScales scales, int tile, int parity, float[] row, int[] places, float[] total) {
        StripedLayout layout = weights.layout();
        int firstColumn = tile * TileWords.STRIPS * StripedLayout.BLOCK;
        int pairs = Math.min(total.length, (layout.paddedN() - firstColumn) / 2);
        Arrays.fill(total, 0);
        for (int k : places) {
            int scaleRow = layout.isOneGroup() ? 0 : k / layout.groupSize();
            float[] scale = scales.scales(tile, scaleRow, parity);
            float[] zeroTerm = scales.zeroTerms(tile, scaleRow, parity);
            for (int x = 0; x < pairs; x++) {
                int code = layout.code(weights.codes(), k, firstColumn + 2 * x + parity);
                total[x] += row[k] * ((code - scales.middle()) * scale[x] + zeroTerm[x]);
            }
        }
    }
}
