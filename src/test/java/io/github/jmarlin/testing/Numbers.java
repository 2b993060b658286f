package io.github.jmarlin.testing;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Numbers of a type in buffers. */
public final class Numbers {
    private Numbers() {
    }

    /** The values as numbers of the type. */
    public static float[] round(DataType type, float[] values) {
        float[] rounded = values.clone();
        for (int i = 0; type.is16Bit() && i < rounded.length; i++) {
            rounded[i] = HalfFloats.decode(type, HalfFloats.encode(type, values[i]));
        }
        return rounded;
    }

    /** A direct buffer of numbers of the type, little-endian. */
    public static ByteBuffer encode(DataType type, float[] values) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(values.length * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            if (type.is16Bit()) {
                buffer.putShort(HalfFloats.encode(type, value));
            } else {
                buffer.putFloat(value);
            }
        }
        return buffer.flip();
    }

    /** The numbers in a buffer. */
    public static float[] decode(DataType type, ByteBuffer buffer) {
        ByteBuffer source = buffer.order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[source.remaining() / type.bytes()];
        for (int i = 0; i < values.length; i++) {
            values[i] = type.is16Bit() ? HalfFloats.decode(type, source.getShort(2 * i)) : source.getFloat(4 * i);
        }
        return values;
    }
}
