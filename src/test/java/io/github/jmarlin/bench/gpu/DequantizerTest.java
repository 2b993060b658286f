package io.github.jmarlin.bench.gpu;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The dequantization kernel against the logical weights. */
@Tag("gpu")
class DequantizerTest {
    private static final short POISON = (short) 0xffff;

    record Case(int k, int n, int groupSize, DataType type, boolean zeroPoints) {
    }

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (boolean zeroPoints : new boolean[] {false, true}) {
                cases.add(new Case(192, 128, 64, type, zeroPoints));
                cases.add(new Case(200, 70, 128, type, zeroPoints));
                cases.add(new Case(96, 65, 32, type, zeroPoints));
                cases.add(new Case(45, 3, -1, type, zeroPoints));
            }
        }
        return cases.stream();
    }

    /** Every weight is the logical one rounded once, with and without zero points. */
    @ParameterizedTest
    @MethodSource("cases")
    void expandsEveryWeight(Case test) {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver.unavailableReason());
        try (QuantizedMatrix matrix = TestMatrices.layer(test.k, test.n, test.groupSize, test.type, test.zeroPoints, false, 1);
                PackedWeights packed = PackedWeights.pack(matrix, test.type);
                Gpu gpu = new Gpu(CudaDriver.devices().get(0));
                DeviceBuffer dense = gpu.allocate(Dequantizer.denseBytes(test.k, test.n), "dense weights")) {
            ByteBuffer values = ByteBuffer.allocateDirect((int) dense.size()).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < values.capacity(); i += 2) {
                values.putShort(i, POISON);
            }
            dense.upload(0, values);
            try (Dequantizer dequantizer = new Dequantizer(gpu, packed)) {
                dequantizer.launch(dense);
                gpu.synchronize();
            }
            dense.download(0, values);
            long stride = Dequantizer.denseStride(test.k);
            for (int column = 0; column < test.n; column++) {
                for (int row = 0; row < test.k; row++) {
                    float actual = HalfFloats.decode(test.type, values.getShort((int) (2 * (column * stride + row))));
                    float expected = HalfFloats.decode(test.type, HalfFloats.encode(test.type, matrix.weight(row, column)));
                    String where = test + ": weight at row " + row + ", column " + column;
                    assertTrue(actual == expected, () -> where + ": expected " + expected + ", got " + actual);
                }
            }
        }
    }
}
