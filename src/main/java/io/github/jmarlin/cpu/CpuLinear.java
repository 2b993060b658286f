package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.HostOperands;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.memory.UseCount;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A linear layer on the processor, for activations of every type, accumulating in floats (or, for few rows, in integers).
 *
 * <p>The output is cut into tiles of 512 columns and up to 16 rows; each is one task, computed in one order, so that the bits
 * depend neither on the number of threads nor on which of them did what.
 */
public final class CpuLinear implements LinearLayer {
    /** Rows whose activations are held as floats at a time. */
    private static final int ROWS_AT_ONCE = 256;

    private final CpuDevice device;
    private final PackedWeights weights;
    private final TileScales scales;
    private final UseCount uses;

    CpuLinear(CpuDevice device, PackedWeights weights) {
        this.device = device;
        this.weights = weights;
        uses = new UseCount("layer of " + weights);
        weights.acquire();
        try {
            scales = new TileScales(weights);
        } catch (RuntimeException | Error e) {
            weights.release();
            throw e;
        }
    }

    @Override
    public int k() {
        return weights.k();
    }

    @Override
    public int n() {
        return weights.n();
    }

    @Override
    public DataType computeType() {
        return weights.computeType();
    }

    /** True for all types. */
    @Override
    public boolean supports(DataType type) {
        return true;
    }

    @Override
    public void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c) {
        HostOperands.check(this, type, a, m, c);
        uses.acquire();
        try {
            ByteBuffer activations = a.slice().order(ByteOrder.LITTLE_ENDIAN);
            ByteBuffer outputs = c.slice().order(ByteOrder.LITTLE_ENDIAN);
            for (int row = 0; row < m; row += ROWS_AT_ONCE) {
                multiplyRows(type, activations, row, (int) Math.min(ROWS_AT_ONCE, m - row), outputs);
            }
        } finally {
            uses.release();
        }
    }

    private void multiplyRows(DataType type, ByteBuffer a, int firstRow, int rows, ByteBuffer c) {
        Activations activations = new Activations(weights, rows);
        device.forEach(rows, row -> activations.read(type, a, (long) (firstRow + row) * k(), row));
        int tiles = scales.tiles();
        int rowTiles = (rows + TileProduct.MAX_ROWS - 1) / TileProduct.MAX_ROWS;
        device.forEach(tiles * rowTiles, task -> {
            int tile = task % tiles;
            int begin = task / tiles * TileProduct.MAX_ROWS;
            int end = Math.min(rows, begin + TileProduct.MAX_ROWS);
            TileProduct product = new TileProduct(weights, scales, tile);
            product.multiply(activations, begin, end);
            for (int row = begin; row < end; row++) {
                product.write(row - begin, type, c, (long) (firstRow + row) * n());
            }
        });
    }

    @Override
    public void close() {
        if (uses.close()) {
            weights.release();
        }
    }

    @Override
    public String toString() {
        return "CpuLinear[" + weights + " on " + device.name() + "]";
    }
}
