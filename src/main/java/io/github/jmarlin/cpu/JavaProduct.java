package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import java.nio.ByteBuffer;

/**
 * The product in Java, accumulating in floats (or, for few rows, in integers).
 *
 * <p>The output is cut into tiles of 512 columns and up to 16 rows; each is one task, computed in one order, so that the bits
 * depend neither on the number of threads nor on which of them did what.
 */
final class JavaProduct {
    /** Rows whose activations are held as floats at a time. */
    private static final int ROWS_AT_ONCE = 256;

    private final TaskPool pool;
    private final PackedWeights weights;
    private final TileScales scales;

    JavaProduct(TaskPool pool, PackedWeights weights) {
        this.pool = pool;
        this.weights = weights;
        scales = new TileScales(weights);
    }

    /**
     * Computes rows {@code firstRow} to {@code end - 1}.
     *
     * @param type of the activations
     * @param a begins with row 0, little-endian
     */
    void multiply(DataType type, ByteBuffer a, long firstRow, long end, Outputs outputs) {
        for (long row = firstRow; row < end; row += ROWS_AT_ONCE) {
            multiplyRows(type, a, row, (int) Math.min(ROWS_AT_ONCE, end - row), outputs);
        }
    }

    private void multiplyRows(DataType type, ByteBuffer a, long firstRow, int rows, Outputs outputs) {
        Activations activations = new Activations(weights, rows);
        pool.forEach(rows, row -> activations.read(type, a, (firstRow + row) * weights.k(), row));
        int tiles = scales.tiles();
        int rowTiles = (rows + TileProduct.MAX_ROWS - 1) / TileProduct.MAX_ROWS;
        pool.forEach(tiles * rowTiles, task -> {
            int tile = task % tiles;
            int begin = task / tiles * TileProduct.MAX_ROWS;
            int end = Math.min(rows, begin + TileProduct.MAX_ROWS);
            TileProduct product = new TileProduct(weights, scales, tile);
            product.multiply(activations, begin, end);
            for (int row = begin; row < end; row++) {
                product.write(row - begin, outputs, firstRow + row);
            }
        });
    }
}
