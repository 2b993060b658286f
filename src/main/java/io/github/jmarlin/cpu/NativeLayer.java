package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.NativeMemory;

/** Packed weights as the native library sees them: its structures {@code layer} and {@code strip}, with addresses. */
final class NativeLayer implements AutoCloseable {
    /** What {@code half_shift} in product.h takes from a scale first. */
    private static final double FP16_HALF_SHIFT = 0x1p-10;
    private static final double BF16_HALF_SHIFT = 0x1p-120;
    /** Memory up to this size is in one piece. */
    private static final long LARGEST_PIECE = 1L << 30;
    private static final int LAYER_FIELDS = 13;
    private static final int STRIP_FIELDS = 3;

    private final int strips;
    private final int segments;
    private final int segmentRows;
    private final NativeMemory factors;
    private final NativeMemory order;
    private final NativeMemory structures;

    private NativeLayer(PackedWeights weights) {
        StripedLayout layout = weights.layout();
        strips = layout.strips();
        segmentRows = Activations.segmentRows(layout);
        segments = (layout.paddedK() - 1) / segmentRows + 1;
        factors = factors(weights);
        order = weights.hasInputOrder() ? order(weights) : null;
        structures = structures(weights);
    }

    /** Null if the weights lie where native code cannot read them: on the Java heap, or rows or columns in more than one piece. */
    static NativeLayer of(PackedWeights weights) {
        boolean onePiece = (long) Math.max(weights.paddedN(), weights.paddedK()) * Float.BYTES <= LARGEST_PIECE;
        boolean direct = isDirect(weights.codes()) && isDirect(weights.scales()) && isDirect(weights.factors())
                && (weights.zeros() == null || isDirect(weights.zeros())) && (weights.bias() == null || isDirect(weights.bias()));
        return onePiece && direct ? new NativeLayer(weights) : null;
    }

    private static boolean isDirect(NativeMemory memory) {
        return memory.slice(0, 0).isDirect();
    }

    static NativeMemory factors(PackedWeights weights) {
        NativeMemory factors = NativeMemory.allocate((long) weights.paddedN() * Float.BYTES, 1);
        double halfShift = weights.computeType() == DataType.FP16 ? FP16_HALF_SHIFT : BF16_HALF_SHIFT;
        for (int column = 0; column < weights.paddedN(); column++) {
            long at = (long) column * Float.BYTES;
            double unshift = weights.factors().getFloat(at) * ShiftedScales.unitValue(weights.form(), weights.computeType(), column);
            factors.putFloat(at, (float) (unshift * TileCodes.unit(weights.form().code()) / halfShift));
        }
        return factors;
    }

    static NativeMemory order(PackedWeights weights) {
        NativeMemory order = NativeMemory.allocate((long) weights.k() * Integer.BYTES, 1);
        for (int row = 0; row < weights.k(); row++) {
            order.putInt((long) row * Integer.BYTES, weights.inputOrder().get(row));
        }
        return order;
    }

    private NativeMemory structures(PackedWeights weights) {
        StripedLayout layout = weights.layout();
        int layerBytes = LAYER_FIELDS * Long.BYTES;
        NativeMemory memory = NativeMemory.allocate(layerBytes + (long) strips * STRIP_FIELDS * Long.BYTES, 1);
        int segmentsPerScale = layout.isOneGroup() ? segments : layout.groupSize() / segmentRows;
        put(memory, 0, weights.k(), weights.n(), layout.kBlocks(), codeNumber(weights.form().code()), segmentRows, segments,
                segmentsPerScale, typeNumber(weights.computeType()), address(factors, 0),
                weights.form().hasFloatZeros() ? address(weights.factors(), 0) : 0, address(weights.bias(), 0), address(order, 0),
                address(memory, layerBytes));
        for (int strip = 0; strip < strips; strip++) {
            put(memory, layerBytes + (long) strip * STRIP_FIELDS * Long.BYTES, address(weights.codes(), layout.blockOffset(strip, 0)),
                    address(weights.scales(), strip * layout.stripScaleBytes()), address(weights.zeros(), strip * layout.stripScaleBytes()));
        }
        return memory;
    }

    /** {@code enum code_type} in product.h. NOTES: no default, so that a new kind of code does not compile before the library knows it. */
    static int codeNumber(WeightForm.Code code) {
        return switch (code) {
            case INT4 -> 0;
            case INT8 -> 1;
            case E2M1 -> 2;
        };
    }

    /** Writes fields one after another. */
    static void put(NativeMemory memory, long at, long... fields) {
        for (int i = 0; i < fields.length; i++) {
            memory.putLong(at + (long) i * Long.BYTES, fields[i]);
        }
    }

    /** The address of a byte; 0 of no memory. */
    static long address(NativeMemory memory, long offset) {
        return memory == null ? 0 : NativeCpu.address(memory.slice(offset, 1));
    }

    /** {@code enum element_type} in product.h. */
    static int typeNumber(DataType type) {
        return switch (type) {
            case FP16 -> 0;
            case BF16 -> 1;
            case FP32 -> 2;
        };
    }

    long address() {
        return address(structures, 0);
    }

    int strips() {
        return strips;
    }

    int segments() {
        return segments;
    }

    /** Of the digits of one place of a row in a segment, {@code segment_bytes} in product.h. */
    int segmentBytes() {
        return Math.max(segmentRows, StripedLayout.BLOCK);
    }

    @Override
    public void close() {
        structures.close();
        factors.close();
        if (order != null) {
            order.close();
        }
    }
}
