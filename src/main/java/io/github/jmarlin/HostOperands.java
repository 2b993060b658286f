package io.github.jmarlin;

import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The checks that every {@link LinearLayer} makes on host buffers, so that all devices reject the same input in the same words. */
public final class HostOperands {
    private HostOperands() {
    }

    /**
     * Checks the operands of {@code layer.multiply(type, a, m, c, epilogue)}.
     *
     * @throws IllegalArgumentException with the values and the rule
     */
    public static void check(LinearLayer layer, DataType type, ByteBuffer a, long m, ByteBuffer c, Epilogue epilogue) {
        if (type == null || !layer.supports(type)) {
            throw new IllegalArgumentException("type " + type + " is not supported by this layer of compute type "
                    + layer.computeType());
        }
        if (m < 0) {
            throw new IllegalArgumentException("m " + m + " is negative: 0 or more rows expected");
        }
        checkBuffer("a", a, type, m, "k", layer.k());
        check(epilogue);
        epilogue.checkColumns(layer.form());
        checkBuffer("c", c, epilogue.outputType(type), m, epilogue.siluMul() ? "n / 2" : "n", epilogue.outputColumns(layer.n()));
        if (c.isReadOnly()) {
            throw new IllegalArgumentException("c is a read-only buffer: the output cannot be written");
        }
        if (epilogue.residual() == Epilogue.Residual.HOST) {
            checkBuffer("residual", epilogue.residualRows(), epilogue.outputType(type), m, "columns of C",
                    epilogue.outputColumns(layer.n()));
        }
        if (epilogue.hasRowFactors() && m > epilogue.rowFactors().remaining() / Float.BYTES) {
            throw new IllegalArgumentException("row factors have " + epilogue.rowFactors().remaining()
                    + " bytes remaining, too few for [m " + m + "] floats");
        }
    }

    private static void check(Epilogue epilogue) {
        if (epilogue == null) {
            throw new IllegalArgumentException("epilogue is null: Epilogue.NONE or another one expected");
        }
        if (epilogue.residual() == Epilogue.Residual.DEVICE) {
            throw new IllegalArgumentException("residual at device address 0x" + Long.toHexString(epilogue.residualAddress())
                    + ": host operands have residuals in host memory");
        }
        if (epilogue.rowFactorsAddress() != 0) {
            throw new IllegalArgumentException("row factors at device address 0x" + Long.toHexString(epilogue.rowFactorsAddress())
                    + ": host operands have row factors in host memory");
        }
    }

    private static void checkBuffer(String name, ByteBuffer buffer, DataType type, long m, String extentName, int extent) {
        if (buffer == null) {
            throw new IllegalArgumentException(name + " is null: a buffer of [m " + m + "][" + extentName + " " + extent + "] "
                    + type + " expected");
        }
        long rowBytes = (long) extent * type.bytes();
        if (m > buffer.remaining() / rowBytes) {
            throw new IllegalArgumentException(name + " has " + buffer.remaining() + " bytes remaining, too few for [m " + m + "]["
                    + extentName + " " + extent + "] " + type + " of " + rowBytes + " bytes per row");
        }
    }

    /** {@link LinearLayer#multiply(float[], int)} through buffers. */
    static float[] multiply(LinearLayer layer, float[] a, int m) {
        if (a == null) {
            throw new IllegalArgumentException("a is null: an array of [m " + m + "][k " + layer.k() + "] expected");
        }
        if (m < 0 || (long) m * layer.k() != a.length) {
            throw new IllegalArgumentException("a has " + a.length + " elements, which is not [m " + m + "][k " + layer.k() + "]");
        }
        DataType type = layer.supports(DataType.FP32) ? DataType.FP32 : layer.computeType();
        ByteBuffer activations = allocate(a.length, type);
        ByteBuffer outputs = allocate((long) m * layer.n(), type);
        for (int i = 0; i < a.length; i++) {
            if (type == DataType.FP32) {
                activations.putFloat(i * Float.BYTES, a[i]);
            } else {
                activations.putShort(i * Short.BYTES, HalfFloats.encode(type, a[i]));
            }
        }
        layer.multiply(type, activations, m, outputs);
        float[] result = new float[m * layer.n()];
        for (int i = 0; i < result.length; i++) {
            result[i] = type == DataType.FP32
                    ? outputs.getFloat(i * Float.BYTES)
                    : HalfFloats.decode(type, outputs.getShort(i * Short.BYTES));
        }
        return result;
    }

    private static ByteBuffer allocate(long elements, DataType type) {
        long bytes = elements * type.bytes();
        if (bytes > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(elements + " elements of " + type + " are " + bytes
                    + " bytes, more than one buffer holds: multiply fewer rows at a time");
        }
        return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
