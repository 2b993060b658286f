package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.memory.Closing;

/**
 * Keys and values of all blocks for some sequences, {@code [layer][sequence][key/value head][position][element]} in the decoder's type,
 * and the angles by which positions turn. What was not written is not read.
 */
final class KeyValueCache implements AutoCloseable {
    private final int positions;
    private final long layerBytes;
    private final DeviceBuffer keys;
    private final DeviceBuffer values;
    private final DeviceBuffer angles;

    /** @param angles {@code [positions][head size]}: cosines, then sines */
    KeyValueCache(CudaEngine engine, DecoderShape shape, int layers, int sequences, int positions, float[] angles) {
        this.positions = positions;
        layerBytes = (long) Short.BYTES * shape.keys() * sequences * positions;
        String purpose = " of " + sequences + " sequences of " + positions + " positions";
        DeviceBuffer newKeys = null;
        DeviceBuffer newValues = null;
        try {
            newKeys = engine.allocate(Math.multiplyExact(layerBytes, layers), "keys" + purpose);
            newValues = engine.allocate(layerBytes * layers, "values" + purpose);
            this.angles = Floats.upload(engine, angles, "rotary angles");
        } catch (Throwable e) {
            Closing.after(e, newValues, newKeys);
            throw e;
        }
        keys = newKeys;
        values = newValues;
    }

    int positions() {
        return positions;
    }

    long keys(int layer) {
        return keys.address() + layer * layerBytes;
    }

    long values(int layer) {
        return values.address() + layer * layerBytes;
    }

    long angles() {
        return angles.address();
    }

    @Override
    public void close() {
        Closing.all(keys, values, angles);
    }
}
