package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.testing.TestMatrices;

/** Multiplies once with what this JVM offers and prints what that was. */
final class CpuPathProgram {
    private CpuPathProgram() {
    }

    public static void main(String[] args) {
        try (CpuDevice device = new CpuDevice();
                QuantizedMatrix matrix = TestMatrices.layer(64, 64, 64, DataType.FP16, false, false, 1);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device.place(weights)) {
            System.out.println(layer.multiply(new float[64], 1).length + " results, " + device.computesWith());
        }
    }
}
