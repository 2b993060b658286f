package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.Errors;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/** The product of a layer over the CPU path, from packed weights, against fp64 of the numbers that the file holds. */
final class Products {
    private static final int M = 3;

    private Products() {
    }

    /** @param bound of a product with operands of the layer's compute type */
    static void assertWithin(double bound, SecondDecoder expected, LayerSource source) {
        Random random = new Random(5);
        DataType type = source.computeType();
        float[] a = new float[M * source.k()];
        ByteBuffer operands = ByteBuffer.allocate(a.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < a.length; i++) {
            short bits = HalfFloats.encode(type, (float) random.nextGaussian());
            operands.putShort(i * Short.BYTES, bits);
            a[i] = HalfFloats.decode(type, bits);
        }
        double[] c = new double[M * source.n()];
        for (int column = 0; column < source.n(); column++) {
            for (int input = 0; input < source.k(); input++) {
                double weight = expected.weight(input, column);
                for (int row = 0; row < M; row++) {
                    c[row * source.n() + column] += weight * a[row * source.k() + input];
                }
            }
        }
        try (QuantizedMatrix matrix = source.read(); PackedWeights packed = PackedWeights.pack(matrix, type);
                LinearLayer layer = new CpuDevice().place(packed)) {
            Errors.assertWithin(1e-6, c, layer.multiply(a, M), matrix.n(), source + " in fp32");
            ByteBuffer results = ByteBuffer.allocate(c.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            layer.multiply(type, operands, M, results);
            float[] rounded = new float[c.length];
            for (int i = 0; i < rounded.length; i++) {
                rounded[i] = HalfFloats.decode(type, results.getShort(i * Short.BYTES));
            }
            Errors.assertWithin(bound, c, rounded, matrix.n(), source + " in " + type);
        }
    }
}
