package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.memory.NativeMemory;

/**
 * One call of the native library: its structure {@code call} and the memory that it works in, for one call after another. As large
 * as the largest so far.
 */
final class NativeCall implements AutoCloseable {
    /** Rows that are read together, UNIT_ROWS in product.h. */
    static final int UNIT_ROWS = 16;
    /** Rows of a call, MOST_UNITS units. */
    static final int MOST_ROWS = 8 * UNIT_ROWS;

    private static final int FIELDS = 13;
    private static final int REFUSED_AT = FIELDS * Long.BYTES;
    private static final int DIGITS_AT = (REFUSED_AT + MOST_ROWS + NativeMemory.ALIGNMENT - 1) / NativeMemory.ALIGNMENT
            * NativeMemory.ALIGNMENT;

    private NativeMemory memory = NativeMemory.allocate(DIGITS_AT, NativeMemory.ALIGNMENT);
    private long address = NativeLayer.address(memory, 0);

    /**
     * Prepares a product of {@code rows} rows at most {@link #MOST_ROWS}.
     *
     * @param a address of the activations
     * @param outputs in direct buffers, used from row {@code firstRow} on
     */
    void prepare(NativeLayer layer, DataType type, int rows, long a, Outputs outputs, long firstRow) {
        long unitRows = (long) (rows + UNIT_ROWS - 1) / UNIT_ROWS * UNIT_ROWS;
        int places = type == DataType.FP32 ? 3 : 2;
        long digitBytes = unitRows * layer.segments() * layer.segmentRows() * places;
        long unitBytes = unitRows * layer.segments() * Float.BYTES;
        long bytes = DIGITS_AT + digitBytes + unitBytes + 2 * unitBytes;
        if (bytes > memory.size()) {
            NativeMemory larger = NativeMemory.allocate(bytes, bytes);
            memory.close();
            memory = larger;
            address = NativeLayer.address(memory, 0);
        }
        long digits = address + DIGITS_AT;
        NativeLayer.put(memory, 0, layer.address(), NativeLayer.typeNumber(type), rows, a, outputs.address(firstRow), digits,
                digits + digitBytes, digits + digitBytes + unitBytes, address + REFUSED_AT,
                NativeLayer.typeNumber(outputs.type()), outputs.residualAddress(firstRow), outputs.rowFactorsAddress(firstRow),
                outputs.siluMul() ? 1 : 0);
    }

    long address() {
        return address;
    }

    /** Whether a row holds what digits cannot: its outputs were not written. */
    boolean refused(int row) {
        return memory.getByte(REFUSED_AT + row) != 0;
    }

    @Override
    public void close() {
        memory.close();
    }
}
