package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Tensor;

/** A layer of integers; see {@link CompressedTensorsFormat}. Everything lies transposed, one row per out-feature. */
final class CompressedTensorsLayer extends LayerSource {
    private final ColumnCodes codes;
    private final Tensor scales;
    private final ZeroPoints zeros;

    /** How a file stores the zero points of a layer. */
    interface ZeroPoints {
        /** The zero points of a column, one for each group of the file, in the unit of the matrix's codes. */
        int[] of(int column);
    }

    /** @param zeros null of symmetric weights */
    CompressedTensorsLayer(Facts facts, ColumnCodes codes, Tensor scales, ZeroPoints zeros) {
        super(facts);
        this.codes = codes;
        this.scales = scales;
        this.zeros = zeros;
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        codes.fill(matrix, from, to);
        int fileGroups = Math.toIntExact(scales.shape().get(1));
        putColumns(matrix.scales(), from, to, column -> Floats.read(scales, (long) column * fileGroups, (column + 1L) * fileGroups));
        for (int column = from; zeros != null && column < to; column++) {
            int[] zeroPoints = zeros.of(column);
            for (int group = 0; group < groups(); group++) {
                matrix.setZeroPoint(group, column - from, zeroPoints[fileGroup(group)]);
            }
        }
    }
}
