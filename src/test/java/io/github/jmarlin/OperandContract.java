package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.testing.Numbers;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.util.function.Consumer;
import org.junit.jupiter.api.function.Executable;

/** What every device does with no rows, bad operands and closed layers. */
final class OperandContract {
    private static final byte POISON = (byte) 0xff;

    private final ComputeDevice device;

    OperandContract(ComputeDevice device) {
        this.device = device;
    }

    void checkNoRows() {
        withLayer(layer -> {
            ByteBuffer c = Numbers.encode(layer.computeType(), new float[] {1, 2, 3});
            byte[] before = new byte[c.remaining()];
            c.get(0, before);
            layer.multiply(layer.computeType(), ByteBuffer.allocate(0), 0, c);
            byte[] after = new byte[c.remaining()];
            c.get(0, after);
            assertArrayEquals(before, after);
            assertEquals(0, layer.multiply(new float[0], 0).length);
        });
    }

    void checkBadOperands() {
        withLayer(layer -> {
            DataType type = layer.computeType();
            ByteBuffer a = Numbers.encode(type, new float[2 * layer.k()]);
            ByteBuffer c = ByteBuffer.allocateDirect(2 * layer.n() * type.bytes()).put(0, POISON);
            rejects(() -> layer.multiply(null, a, 2, c), "type null", type.toString());
            rejects(() -> layer.multiply(type, null, 2, c), "a is null", "m 2", "k 64");
            rejects(() -> layer.multiply(type, a, 2, null), "c is null", "m 2", "n 48");
            rejects(() -> layer.multiply(type, a, -1, c), "m -1", "0 or more");
            rejects(() -> layer.multiply(type, a, 3, c), "a has 256 bytes", "m 3", "k 64", "128 bytes per row");
            rejects(() -> layer.multiply(type, a.duplicate().position(1), 2, c), "a has 255 bytes", "m 2");
            rejects(() -> layer.multiply(type, a, 2, c.duplicate().limit(191)), "c has 191 bytes", "m 2", "n 48", "96 bytes per row");
            rejects(() -> layer.multiply(type, a, Long.MAX_VALUE, c), "a has 256 bytes", "m " + Long.MAX_VALUE);
            rejects(() -> layer.multiply(type, a, (1L << 57) + 1, c), "a has 256 bytes");
            rejects(() -> layer.multiply(type, a, 2, c.asReadOnlyBuffer()), "c is a read-only buffer");
            rejects(() -> layer.multiply((float[]) null, 2), "a is null", "m 2", "k 64");
            rejects(() -> layer.multiply(new float[127], 2), "127 elements", "m 2", "k 64");
            rejects(() -> layer.multiply(new float[0], -1), "m -1");
            for (DataType other : DataType.values()) {
                if (!layer.supports(other)) {
                    rejects(() -> layer.multiply(other, a, 1, c), "type " + other, type.toString());
                }
            }
            assertEquals(POISON, c.get(0), "first byte of c after rejected calls");
        });
    }

    void checkClosedLayers() {
        withLayer(layer -> {
            layer.close();
            layer.close();
            DataType type = layer.computeType();
            String message = assertThrows(IllegalStateException.class, () -> layer.multiply(type, Numbers.encode(type, new float[64]), 1,
                    ByteBuffer.allocateDirect(96))).getMessage();
            assertTrue(message.contains("used after close"), message);
        });
    }

    private void withLayer(Consumer<LinearLayer> test) {
        try (QuantizedMatrix matrix = TestMatrices.layer(64, 48, 32, DataType.FP16, false, false, 12);
                PackedWeights weights = PackedWeights.pack(matrix, DataType.FP16);
                LinearLayer layer = device.place(weights)) {
            test.accept(layer);
        }
    }

    private static void rejects(Executable call, String... parts) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), "\"" + part + "\" is not in: " + message);
        }
    }
}
