package io.github.jmarlin.cpu;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.layout.StripedLayout;
import java.nio.ByteBuffer;

/**
 * The scales as floats, unshifted, in the column order of {@link TileWords}: even and odd columns of a tile apart. Zero points
 * become the term {@code (8 - z) * s}, which the sum of the activations is multiplied with, because the codes are taken as q - 8.
 */
final class TileScales {
    private final int scaleRows;
    private final int tiles;
    /** {@code [tile][2 * scale row + parity][column pair]}. */
    private final float[][][] scales;
    /** As {@link #scales}, or null if the weights are symmetric. */
    private final float[][][] zeroTerms;

    TileScales(PackedWeights weights) {
        scaleRows = weights.scaleRows();
        tiles = (weights.strips() - 1) / TileWords.STRIPS + 1;
        scales = new float[tiles][2 * scaleRows][TileWords.PAIRS];
        zeroTerms = weights.form().hasZeroPoints() ? new float[tiles][2 * scaleRows][TileWords.PAIRS] : null;
        for (int strip = 0; strip < weights.strips(); strip++) {
            readStrip(weights, strip);
        }
    }

    private void readStrip(PackedWeights weights, int strip) {
        int bytes = (int) weights.layout().stripScaleBytes();
        ByteBuffer shifted = weights.scales().slice((long) strip * bytes, bytes);
        ByteBuffer zeros = weights.form().hasZeroPoints() ? weights.zeros().slice((long) strip * bytes, bytes) : null;
        double[] unshift = new double[StripedLayout.BLOCK];
        for (int column = 0; column < StripedLayout.BLOCK; column++) {
            double factor = weights.factors().getFloat(((long) strip * StripedLayout.BLOCK + column) * Float.BYTES);
            unshift[column] = factor * ShiftedScales.unitValue(weights.form(), weights.computeType(), column);
        }
        for (int scaleRow = 0; scaleRow < scaleRows; scaleRow++) {
            for (int column = 0; column < StripedLayout.BLOCK; column++) {
                int at = (scaleRow * StripedLayout.BLOCK + column) * Short.BYTES;
                float scale = (float) (HalfFloats.decode(weights.computeType(), shifted.getShort(at)) * unshift[column]);
                int row = 2 * scaleRow + column % 2;
                int pair = (strip % TileWords.STRIPS * StripedLayout.BLOCK + column) / 2;
                scales[strip / TileWords.STRIPS][row][pair] = scale;
                if (zeros != null) {
                    int zeroPoint = ShiftedScales.zeroPoint(weights.form(), zeros.getShort(at), column);
                    zeroTerms[strip / TileWords.STRIPS][row][pair] = (8 - zeroPoint) * scale;
                }
            }
        }
    }

    int tiles() {
        return tiles;
    }

    float[] scales(int tile, int scaleRow, int parity) {
        return scales[tile][2 * scaleRow + parity];
    }

    /** The terms of the zero points, or null if the weights are symmetric. */
    float[] zeroTerms(int tile, int scaleRow, int parity) {
        return zeroTerms == null ? null : zeroTerms[tile][2 * scaleRow + parity];
    }
}
