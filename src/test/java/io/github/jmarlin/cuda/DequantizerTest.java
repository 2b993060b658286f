package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.plan.WorkspaceSize;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The dequantization kernel against the logical weights. */
class DequantizerTest extends GpuTest {
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
        QuantizedMatrix matrix = matrix(test.k, test.n, test.groupSize, test.type, test.zeroPoints);
        DeviceWeights weights = upload(matrix, test.type);
        Workspace workspace = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        try (DeviceBuffer dense = engine.allocate(weights.shape().denseBytes(), "dense weights")) {
            ByteBuffer values = ByteBuffer.allocateDirect((int) dense.size()).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < values.capacity(); i += 2) {
                values.putShort(i, POISON);
            }
            dense.upload(0, values);
            weights.dequantizer().launch(dense.address(), workspace);
            synchronize(stream);
            dense.download(0, values);
            long stride = weights.shape().denseStride();
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

    @Test
    void refusesWithTheValues() {
        DeviceWeights weights = upload(matrix(64, 64, 64, DataType.FP16, false), DataType.FP16);
        Workspace workspace = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        Dequantizer dequantizer = weights.dequantizer();
        for (long address : new long[] {0, 24}) {
            assertMentions(assertThrows(IllegalArgumentException.class, () -> dequantizer.launch(address, workspace)),
                    "0x" + Long.toHexString(address), "multiple of 16");
        }
        assertMentions(assertThrows(IllegalArgumentException.class, () -> dequantizer.launch(256, null)), "workspace is null");
        weights.close();
        assertMentions(assertThrows(IllegalStateException.class, () -> dequantizer.launch(256, workspace)), "used after close");
    }
}
