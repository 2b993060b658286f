package io.github.jmarlin;

import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a product does with its sums before it stores them, so that no kernel and no copy has to follow it. In this order, all in
 * fp32, with one rounding at the end, to the type of the output:
 *
 * <pre>
 *   x[i][j] = (sum over k of A[i][k] * W[k][j]) * rowFactor[i] + bias[j]
 *   y[i][j] = x[i][j], or silu(x[i][2j]) * x[i][2j + 1]            silu(g) = g / (1 + e^-g)
 *   C[i][j] = round(y[i][j] + R[i][j])
 * </pre>
 *
 * <p>R is a residual in memory of its own, or what C held before; it has the type and the columns of C. The parts of a residual that
 * is summed across devices are FP32 outputs that accumulate. A sum that several thread blocks share meets its epilogue once, after the
 * last of them has been added.
 *
 * <p>Operands are host buffers for {@link LinearLayer#multiply(DataType, ByteBuffer, long, ByteBuffer, Epilogue)} and device
 * addresses for launches; each refuses the other's. They are read when the product runs, not here, and nothing but C is written.
 *
 * <p>Immutable: made once for a layer and used for every call. Every method gives a new one.
 */
public final class Epilogue {
    /** The product as it is: with the bias, in the type of the activations. */
    public static final Epilogue NONE = new Epilogue();

    private final boolean floatOutput;
    private final boolean siluMul;
    private final Residual residual;
    private final ByteBuffer residualRows;
    private final long residualAddress;
    private final long residualStride;
    private final ByteBuffer rowFactors;
    private final long rowFactorsAddress;

    /** What is added to the result. */
    public enum Residual {
        /** Nothing. */
        NONE,
        /** A matrix in host memory, rows next to each other. */
        HOST,
        /** A matrix in device memory, rows at a stride of their own. */
        DEVICE,
        /** What C held before. */
        OUTPUT
    }

    private Epilogue() {
        floatOutput = false;
        siluMul = false;
        residual = Residual.NONE;
        residualRows = null;
        residualAddress = 0;
        residualStride = 0;
        rowFactors = null;
        rowFactorsAddress = 0;
    }

    private Epilogue(Epilogue other, boolean floatOutput, boolean siluMul) {
        this.floatOutput = floatOutput;
        this.siluMul = siluMul;
        residual = other.residual;
        residualRows = other.residualRows;
        residualAddress = other.residualAddress;
        residualStride = other.residualStride;
        rowFactors = other.rowFactors;
        rowFactorsAddress = other.rowFactorsAddress;
    }

    private Epilogue(Epilogue other, Residual residual, ByteBuffer rows, long address, long stride) {
        floatOutput = other.floatOutput;
        siluMul = other.siluMul;
        this.residual = residual;
        residualRows = rows;
        residualAddress = address;
        residualStride = stride;
        rowFactors = other.rowFactors;
        rowFactorsAddress = other.rowFactorsAddress;
    }

    private Epilogue(Epilogue other, ByteBuffer rowFactors, long rowFactorsAddress) {
        floatOutput = other.floatOutput;
        siluMul = other.siluMul;
        residual = other.residual;
        residualRows = other.residualRows;
        residualAddress = other.residualAddress;
        residualStride = other.residualStride;
        this.rowFactors = rowFactors;
        this.rowFactorsAddress = rowFactorsAddress;
    }

    /** C in FP32, whatever the type of the activations; a residual too. */
    public Epilogue withFloatOutput() {
        return new Epilogue(this, true, siluMul);
    }

    /**
     * silu(gate) * up: half as many outputs as the weights have columns. For weights whose gate and up columns were interleaved when
     * they were packed ({@link WeightForm.Columns#GATE_UP}).
     */
    public Epilogue withSiluMul() {
        return new Epilogue(this, floatOutput, true);
    }

    /**
     * Adds a matrix in host memory.
     *
     * @param rows {@code [m][columns of C]} of the type of C, little-endian, rows next to each other, from its position on; may be
     *     the memory of C itself, exactly: another overlap gives undefined results
     */
    public Epilogue withResidual(ByteBuffer rows) {
        if (rows == null) {
            throw new IllegalArgumentException("residual is null: a buffer with the rows of C expected");
        }
        return new Epilogue(this, Residual.HOST, rows.slice().order(ByteOrder.LITTLE_ENDIAN), 0, 0);
    }

    /**
     * Adds a matrix in device memory.
     *
     * @param address of {@code [m][stride]} elements of the type of C, at a multiple of their size (of 16 bytes, with a stride to
     *     match, costs least); may be C itself with its stride: another overlap gives undefined results
     * @param stride elements from row to row, at least the columns of C
     */
    public Epilogue withResidual(long address, long stride) {
        if (address == 0) {
            throw new IllegalArgumentException("residual at device address 0: an address expected");
        }
        return new Epilogue(this, Residual.DEVICE, null, address, stride);
    }

    /** Adds what C held before: {@code C += ...}. */
    public Epilogue withAccumulation() {
        return new Epilogue(this, Residual.OUTPUT, null, 0, 0);
    }

    /**
     * Multiplies every row's sums by a factor of its own, for instance the reciprocal root mean square of an RMSNorm.
     *
     * @param factors {@code [m]} floats in host memory, little-endian, from its position on
     */
    public Epilogue withRowFactors(ByteBuffer factors) {
        if (factors == null) {
            throw new IllegalArgumentException("row factors are null: a buffer of [m] floats expected");
        }
        return new Epilogue(this, factors.slice().order(ByteOrder.LITTLE_ENDIAN), 0);
    }

    /** As {@link #withRowFactors(ByteBuffer)}, at a device address that is a multiple of 4. */
    public Epilogue withRowFactors(long address) {
        if (address == 0 || address % Float.BYTES != 0) {
            throw new IllegalArgumentException("row factors at device address 0x" + Long.toHexString(address)
                    + ": must be a multiple of " + Float.BYTES + ", and not 0");
        }
        return new Epilogue(this, null, address);
    }

    /** Whether the product is stored as it is. */
    public boolean isNone() {
        return !floatOutput && !siluMul && residual == Residual.NONE && !hasRowFactors();
    }

    /** Whether C is FP32, whatever the type of the activations. */
    public boolean floatOutput() {
        return floatOutput;
    }

    /** Whether pairs of columns become one. */
    public boolean siluMul() {
        return siluMul;
    }

    /** What is added. */
    public Residual residual() {
        return residual;
    }

    /** The residual in host memory, from its first byte on; null if it is none. */
    public ByteBuffer residualRows() {
        return residualRows == null ? null : residualRows.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The residual's device address; 0 if it is none. */
    public long residualAddress() {
        return residualAddress;
    }

    /** Elements from row to row of the residual in device memory. */
    public long residualStride() {
        return residualStride;
    }

    /** Whether rows have factors. */
    public boolean hasRowFactors() {
        return rowFactors != null || rowFactorsAddress != 0;
    }

    /** The row factors in host memory; null if they are not. */
    public ByteBuffer rowFactors() {
        return rowFactors == null ? null : rowFactors.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The row factors' device address; 0 if they have none. */
    public long rowFactorsAddress() {
        return rowFactorsAddress;
    }

    /** The type of C, and of the residual, for activations of a type. */
    public DataType outputType(DataType activations) {
        return floatOutput ? DataType.FP32 : activations;
    }

    /** Columns of C, and of the residual, for weights with n columns. */
    public int outputColumns(int n) {
        return siluMul ? n / 2 : n;
    }

    /** @throws IllegalArgumentException if these weights have no pairs of columns and {@link #siluMul} needs them */
    public void checkColumns(WeightForm form) {
        if (siluMul && form.columns() != WeightForm.Columns.GATE_UP) {
            throw new IllegalArgumentException("silu-mul with columns " + form.columns() + ": the weights' gate and up columns must"
                    + " have been interleaved when they were packed (" + WeightForm.Columns.GATE_UP + ")");
        }
    }

    /** For instance {@code row factors, silu(gate) * up, + residual, to fp32}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        append(text, hasRowFactors(), "row factors");
        append(text, siluMul, "silu(gate) * up");
        append(text, residual == Residual.HOST, "+ residual");
        append(text, residual == Residual.DEVICE, "+ residual of stride " + residualStride);
        append(text, residual == Residual.OUTPUT, "+ C");
        append(text, floatOutput, "to fp32");
        return text.length() == 0 ? "no epilogue" : "epilogue: " + text;
    }

    private static void append(StringBuilder text, boolean there, String words) {
        if (there) {
            text.append(text.length() == 0 ? "" : ", ").append(words);
        }
    }
}
