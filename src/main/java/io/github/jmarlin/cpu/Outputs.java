package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;

/**
 * Where the sums of a product go, and what is done to them on the way: bias and epilogue, all in floats, and one rounding at the end.
 * The same as {@code write.h}. All buffers begin with row 0 and are little-endian.
 */
final class Outputs {
    private final PackedWeights weights;
    private final DataType type;
    private final boolean siluMul;
    private final int columns;
    private final ByteBuffer c;
    /** What is added, c itself perhaps; null for nothing. */
    private final ByteBuffer residual;
    private final ByteBuffer rowFactors;

    private Outputs(PackedWeights weights, DataType type, boolean siluMul, ByteBuffer c, ByteBuffer residual, ByteBuffer rowFactors) {
        this.weights = weights;
        this.type = type;
        this.siluMul = siluMul;
        columns = siluMul ? weights.n() / 2 : weights.n();
        this.c = c;
        this.residual = residual;
        this.rowFactors = rowFactors;
    }

    /** @param type of the activations */
    static Outputs of(PackedWeights weights, DataType type, ByteBuffer c, Epilogue epilogue) {
        ByteBuffer residual = epilogue.residual() == Epilogue.Residual.OUTPUT ? c : epilogue.residualRows();
        return new Outputs(weights, epilogue.outputType(type), epilogue.siluMul(), c, residual, epilogue.rowFactors());
    }

    /** The same in direct buffers, for m rows: what lies on the heap is copied, C too if it is read; see {@link #copyBack}. */
    Outputs direct(long m) {
        int bytes = Math.toIntExact(m * columns * type.bytes());
        ByteBuffer directC = c.isDirect() ? c : residual == c ? NativeProduct.copy(c, bytes) : NativeProduct.allocate(bytes);
        ByteBuffer directResidual = residual == c ? directC
                : residual == null || residual.isDirect() ? residual : NativeProduct.copy(residual, bytes);
        ByteBuffer directFactors = rowFactors == null || rowFactors.isDirect() ? rowFactors
                : NativeProduct.copy(rowFactors, m * Float.BYTES);
        return new Outputs(weights, type, siluMul, directC, directResidual, directFactors);
    }

    /** Gives {@code from} the outputs of m rows that were stored here. */
    void copyBack(Outputs from, long m) {
        if (from.c != c) {
            c.put(0, from.c, 0, Math.toIntExact(m * columns * type.bytes()));
        }
    }

    DataType type() {
        return type;
    }

    boolean siluMul() {
        return siluMul;
    }

    /** The address of a row of C; the buffers are direct. */
    long address(long row) {
        return NativeCpu.address(c) + row * columns * type.bytes();
    }

    /** The address of a row of the residual; 0 if there is none. */
    long residualAddress(long row) {
        return residual == null ? 0 : NativeCpu.address(residual) + row * columns * type.bytes();
    }

    /** The address of a row's factor; 0 if there are none. */
    long rowFactorsAddress(long row) {
        return rowFactors == null ? 0 : NativeCpu.address(rowFactors) + row * Float.BYTES;
    }

    /**
     * Stores the sums of columns from {@code firstColumn}, an even one, on, as far as there are columns.
     *
     * @param even sums of columns {@code firstColumn + 2 x}
     * @param odd sums of columns {@code firstColumn + 2 x + 1}
     */
    void write(long row, int firstColumn, float[] even, float[] odd) {
        int count = Math.min(2 * even.length, weights.n() - firstColumn);
        float factor = rowFactors == null ? 1 : rowFactors.getFloat(Math.toIntExact(row * Float.BYTES));
        if (siluMul) {
            for (int x = 0; x < count / 2; x++) {
                float gate = biased(even[x], factor, firstColumn + 2 * x);
                float up = biased(odd[x], factor, firstColumn + 2 * x + 1);
                store(row, firstColumn / 2 + x, (float) (gate / (1 + Math.exp(-(double) gate)) * up));
            }
            return;
        }
        for (int column = 0; column < count; column++) {
            store(row, firstColumn + column, biased((column % 2 == 0 ? even : odd)[column / 2], factor, firstColumn + column));
        }
    }

    private float biased(float sum, float factor, int column) {
        return weights.hasBias() ? Math.fma(sum, factor, weights.bias().getFloat((long) column * Float.BYTES)) : sum * factor;
    }

    private void store(long row, int column, float value) {
        int at = Math.toIntExact((row * columns + column) * type.bytes());
        if (type == DataType.FP32) {
            c.putFloat(at, residual == null ? value : value + residual.getFloat(at));
        } else {
            c.putShort(at, HalfFloats.encode(type, residual == null ? value : value + HalfFloats.decode(type, residual.getShort(at))));
        }
    }
}
