package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.memory.Closing;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Arrays of floats on a device. */
final class Floats {
    private static final int CHUNK = 1 << 20;

    private Floats() {
    }

    static DeviceBuffer upload(CudaEngine engine, float[] values, String purpose) {
        DeviceBuffer buffer = engine.allocate((long) values.length * Float.BYTES, purpose);
        try {
            ByteBuffer bytes = ByteBuffer.allocateDirect(Math.min(CHUNK, values.length) * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            for (int first = 0; first < values.length; first += CHUNK) {
                int count = Math.min(CHUNK, values.length - first);
                bytes.asFloatBuffer().put(values, first, count);
                buffer.upload((long) first * Float.BYTES, bytes.slice(0, count * Float.BYTES));
            }
            return buffer;
        } catch (Throwable e) {
            Closing.after(e, buffer);
            throw e;
        }
    }
}
