package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;

public final class StripedPacker {
    private StripedPacker() {
    }

    public static PackedWeights pack(QuantizedMatrix matrix, DataType computeType) {
        throw new UnsupportedOperationException("lands next");
    }

    public static QuantizedMatrix unpack(PackedWeights packed) {
        throw new UnsupportedOperationException("lands next");
    }
}
