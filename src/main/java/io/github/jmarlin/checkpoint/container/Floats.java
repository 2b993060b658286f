package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;

/** Scales and biases of a file as numbers; infinities and NaN are refused where they stand. */
public final class Floats {
    private static final float FP16_MIN_NORMAL = 0x1p-14f;
    private static final float FP16_MAX = 65504f;

    private Floats() {
    }

    /** Elements {@code [from, to)} of an F16, BF16 or F32 tensor taken as one dimension. */
    public static float[] read(Tensor tensor, long from, long to) {
        int width = tensor.type().bits() / Byte.SIZE;
        int count = Math.toIntExact(to - from);
        ByteBuffer bytes = tensor.slice(from * width, Math.multiplyExact(count, width));
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = decode(tensor.type(), bytes, i);
            if (!Float.isFinite(values[i])) {
                throw tensor.malformed((from + i) * width, values[i], "must be finite");
            }
        }
        return values;
    }

    /** Element {@code index} of bytes of an F16, BF16 or F32 tensor. */
    static float decode(TensorType type, ByteBuffer bytes, int index) {
        return switch (type) {
            case F16 -> HalfFloats.fromFp16(bytes.getShort(index * Short.BYTES));
            case BF16 -> HalfFloats.fromBf16(bytes.getShort(index * Short.BYTES));
            case F32 -> bytes.getFloat(index * Float.BYTES);
            default -> throw new IllegalArgumentException("type " + type + ": F16, BF16 or F32 expected");
        };
    }

    /** {@code values} in the 16-bit type, rounded to the nearest. */
    public static short[] encode(DataType type, float[] values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = HalfFloats.encode(type, values[i]);
        }
        return bits;
    }

    /**
     * The types for the scales of a file.
     *
     * @param matrix the type that holds every value exactly: the file's own; for F32 a 16-bit one if one does, fp16 first, else FP32
     * @param compute the 16-bit type to pack for: the same, or fp16 (its mantissa is longer) unless a value leaves its normal range
     */
    public record ScaleTypes(DataType matrix, DataType compute) {
        /** The types for these and other numbers of a layer together. */
        public ScaleTypes with(ScaleTypes other) {
            DataType both = compute == other.compute ? compute : DataType.FP16;
            return new ScaleTypes(matrix == other.matrix ? matrix : DataType.FP32, both);
        }
    }

    /** The types for the scales of a file; reads them if they are F32. */
    public static ScaleTypes scaleTypes(Tensor scales) {
        if (scales.type() != TensorType.F32) {
            DataType own = scales.type() == TensorType.BF16 ? DataType.BF16 : DataType.FP16;
            return new ScaleTypes(own, own);
        }
        boolean exactFp16 = true;
        boolean exactBf16 = true;
        boolean normalFp16 = true;
        long count = scales.bytes() / Float.BYTES;
        int piece = 1 << 16;
        for (long from = 0; from < count; from += piece) {
            for (float value : read(scales, from, Math.min(count, from + piece))) {
                float magnitude = Math.abs(value);
                exactFp16 &= HalfFloats.fromFp16(HalfFloats.toFp16(value)) == value;
                exactBf16 &= HalfFloats.fromBf16(HalfFloats.toBf16(value)) == value;
                normalFp16 &= magnitude == 0 || magnitude >= FP16_MIN_NORMAL && magnitude <= FP16_MAX;
            }
        }
        DataType compute = exactFp16 || !exactBf16 && normalFp16 ? DataType.FP16 : DataType.BF16;
        return new ScaleTypes(exactFp16 || exactBf16 ? compute : DataType.FP32, compute);
    }
}
