package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WorkspaceSize;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Activations put into the order of act-ordered weights, on the device. */
class InputGatherTest extends GpuTest {
    private static final short POISON = (short) 0xffff;

    @Test
    void movesEveryElementAndNothingElse() {
        for (int k : new int[] {3, 64, 100, 225}) {
            int[] order = shuffled(k);
            DeviceWeights weights = ordered(k, 70, order);
            InputGather gather = weights.inputGather();
            Workspace workspace = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
            for (int m : new int[] {0, 1, 9}) {
                int lda = k + 3;                                    // rows of A need no alignment here
                int ldg = (k + 7) / 8 * 8 + 8;
                ByteBuffer a = shorts(9 * lda, POISON);
                for (int row = 0; row < m; row++) {
                    for (int column = 0; column < k; column++) {
                        a.putShort(2 * (row * lda + column), (short) (row * k + column));
                    }
                }
                DeviceBuffer from = closing(engine.allocate(a.capacity(), "activations"));
                DeviceBuffer to = closing(engine.allocate(2L * 9 * ldg, "gathered"));
                from.upload(0, a);
                to.upload(0, shorts(9 * ldg, POISON));
                gather.launch(from.address(), lda, to.address(), ldg, m, workspace);
                synchronize(stream);
                ByteBuffer result = shorts(9 * ldg, (short) 0);
                to.download(0, result);
                for (int row = 0; row < 9; row++) {
                    for (int column = 0; column < ldg; column++) {
                        short expected = row >= m || column >= (k + 7) / 8 * 8 ? POISON
                                : column >= k ? 0 : (short) (row * k + order[column]);
                        assertEquals(expected, result.getShort(2 * (row * ldg + column)),
                                "k " + k + ", m " + m + ": row " + row + ", column " + column);
                    }
                }
            }
        }
    }

    @Test
    void gatheredActivationsGiveTheProductOfTheWeights() {
        int k = 200;
        int n = 130;
        int m = 17;
        int[] order = shuffled(k);
        QuantizedMatrix matrix = matrix(k, n, 32, DataType.FP16, true);
        try (PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16).withInputOrder(IntBuffer.wrap(order))) {
            DeviceWeights weights = closing(engine.upload(packed));
            CudaGemm gemm = weights.gatheredGemm(PlanOptions.DEFAULT);
            Workspace workspace = closing(engine.newWorkspace(stream, gemm.workspaceFor(m)));
            float[] a = activations(m, k, DataType.FP16);
            DeviceBuffer gathered = closing(engine.allocate(2L * m * k, "gathered"));
            try (DeviceOperands operands = new DeviceOperands(weights, a, m, k, n)) {
                weights.inputGather().launch(operands.a(), operands.lda(), gathered.address(), k, m, workspace);
                gemm.launch(gathered.address(), k, operands.c(), operands.ldc(), m, workspace);
                synchronize(stream);
                float[] inOrder = new float[m * k];
                for (int i = 0; i < inOrder.length; i++) {
                    inOrder[i] = a[i / k * k + order[i % k]];
                }
                assertProduct(matrix, DataType.FP16, inOrder, m, operands.result(), "act-ordered " + matrix);
            }
        }
    }

    @Test
    void badCallsAreRefusedBeforeAnythingIsLaunched() {
        int k = 100;
        DeviceWeights weights = ordered(k, 70, shuffled(k));
        InputGather gather = weights.inputGather();
        Workspace workspace = closing(engine.newWorkspace(stream, WorkspaceSize.NONE));
        refused(() -> gather.launch(256, 100, 512, 104, -1, workspace), "m -1");
        refused(() -> gather.launch(256, 99, 512, 104, 1, workspace), "lda 99", "k 100");
        refused(() -> gather.launch(256, 100, 512, 100, 1, workspace), "ldg 100", "multiple of 8");
        refused(() -> gather.launch(256, 100, 512, 96, 1, workspace), "ldg 96", "k 100");
        refused(() -> gather.launch(257, 100, 512, 104, 1, workspace), "0x101", "multiple of 2");
        refused(() -> gather.launch(256, 100, 520, 104, 1, workspace), "0x208", "multiple of 16");
        refused(() -> gather.launch(256, 100, 512, 104, Long.MAX_VALUE / 100, workspace), "2^63");
        refused(() -> gather.launch(256, 100, 512, 104, 1, null), "null");
        DeviceWeights unordered = upload(matrix(k, 70, 32, DataType.FP16, false), DataType.FP16);
        refused(unordered::inputGather, "no input order");
    }

    private DeviceWeights ordered(int k, int n, int[] order) {
        try (PackedWeights packed = PackedWeights.pack(matrix(k, n, 32, DataType.FP16, false), DataType.FP16)
                .withInputOrder(IntBuffer.wrap(order))) {
            return closing(engine.upload(packed));
        }
    }

    private static int[] shuffled(int k) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < k; i++) {
            order.add(i);
        }
        Collections.shuffle(order, new Random(k));
        return order.stream().mapToInt(Integer::intValue).toArray();
    }

    private static ByteBuffer shorts(int count, short value) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(2 * count).order(ByteOrder.LITTLE_ENDIAN);
        while (bytes.hasRemaining()) {
            bytes.putShort(value);
        }
        return bytes.flip();
    }

    private static void refused(Runnable call, String... words) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        for (String word : words) {
            assertTrue(message.contains(word), message);
        }
    }
}
