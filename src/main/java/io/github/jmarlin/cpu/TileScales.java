package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;

/**
 * The scales as floats, unshifted and in the unit of {@link TileCodes}, in the column order of {@link TileWords}: even and odd columns of a
 * tile apart. Because codes are taken as q - middle, zero points become the term {@code (middle - z) * s} and float zeros the term {@code
 * middle * s + Z}, which the sum of the activations is multiplied with.
 */
final class TileScales {
    private final int scaleRows;
    private final int tiles;
    private final int middle;
    /** {@code [tile][2 * scale row + parity][column pair]}. */
    private final float[][][] scales;
    /** As {@link #scales}, or null if the weights are symmetric. */
    private final float[][][] zeroTerms;

    TileScales(PackedWeights weights) {
        scaleRows = weights.scaleRows();
        tiles = (weights.strips() - 1) / TileWords.STRIPS + 1;
        middle = middle(weights);
        scales = new float[tiles][2 * scaleRows][TileWords.PAIRS];
        zeroTerms = weights.form().storesOffsets() ? new float[tiles][2 * scaleRows][TileWords.PAIRS] : null;
        for (int strip = 0; strip < weights.strips(); strip++) {
            readStrip(weights, strip);
        }
    }

    private void readStrip(PackedWeights weights, int strip) {
        int bytes = (int) weights.layout().stripScaleBytes();
        ByteBuffer shifted = weights.scales().slice((long) strip * bytes, bytes);
        ByteBuffer zeros = weights.form().storesOffsets() ? weights.zeros().slice((long) strip * bytes, bytes) : null;
        WeightForm form = weights.form();
        DataType type = weights.computeType();
        double[] factors = new double[StripedLayout.BLOCK];
        for (int column = 0; column < StripedLayout.BLOCK; column++) {
            factors[column] = weights.factors().getFloat(((long) strip * StripedLayout.BLOCK + column) * Float.BYTES);
        }
        for (int scaleRow = 0; scaleRow < scaleRows; scaleRow++) {
            for (int column = 0; column < StripedLayout.BLOCK; column++) {
                int at = (scaleRow * StripedLayout.BLOCK + column) * Short.BYTES;
                double value = HalfFloats.decode(type, shifted.getShort(at)) * factors[column] * ShiftedScales.unitValue(form, type, column);
                float scale = (float) (value * TileCodes.unit(form.code()));
                int row = 2 * scaleRow + column % 2;
                int pair = (strip % TileWords.STRIPS * StripedLayout.BLOCK + column) / 2;
                scales[strip / TileWords.STRIPS][row][pair] = scale;
                if (zeros != null) {
                    zeroTerms[strip / TileWords.STRIPS][row][pair] = form.hasFloatZeros()
                            ? (float) (middle * value + HalfFloats.decode(type, zeros.getShort(at)) * factors[column])
                            : (middle - ShiftedScales.zeroPoint(form, zeros.getShort(at), column)) * scale;
                }
            }
        }
    }

    /**
     * What codes are counted from. With float zeros not all 8-bit codes lie around the middle of their range: where they do, on average, is
     * best, since large codes and the zero terms take each other away again.
     */
    private static int middle(PackedWeights weights) {
        WeightForm form = weights.form();
        if (form.code() != WeightForm.Code.INT8 || !form.hasFloatZeros()) {
            return form.code().middle();
        }
        double sum = 0;
        long count = 0;
        for (int column = 0; column < weights.n(); column++) {
            double unit = ShiftedScales.unitValue(form, weights.computeType(), column);
            for (int group = 0; group < weights.groups(); group++) {
                long at = weights.layout().scaleOffset(group, column);
                double step = HalfFloats.decode(weights.computeType(), weights.scales().getShort(at)) * unit;
                double zero = HalfFloats.decode(weights.computeType(), weights.zeros().getShort(at));
                if (step != 0) {
                    sum += Math.max(0, Math.min(form.code().max(), -zero / step));
                    count++;
                }
            }
        }
        return count == 0 ? form.code().middle() : (int) Math.round(sum / count);
    }

    /** The integer that codes are counted from; of floats none. */
    int middle() {
        return middle;
    }

    int tiles() {
        return tiles;
    }

    float[] scales(int tile, int scaleRow, int parity) {
        return scales[tile][2 * scaleRow + parity];
    }

    /** The terms of zero points or float zeros, or null if the weights are symmetric. */
    float[] zeroTerms(int tile, int scaleRow, int parity) {
        return zeroTerms == null ? null : zeroTerms[tile][2 * scaleRow + parity];
    }
}
