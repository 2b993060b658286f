package io.github.jmarlin.bench.peers;

import io.github.jmarlin.QuantizedMatrix;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.stream.IntStream;

/**
 * An ONNX model of one node, com.microsoft.MatMulNBits: y [m][n] = a [m][k] times 4-bit weights. Written as protobuf by hand, because
 * nothing else here needs protobuf; the field numbers are those of onnx.proto3.
 */
final class OnnxModel {
    private static final int FLOAT = 1;
    private static final int UINT8 = 2;
    private static final int ATTRIBUTE_INT = 2;

    private OnnxModel() {
    }

    /**
     * The model of a symmetric matrix, whose group size must be the block's.
     *
     * @param accuracyLevel 1: fp32 arithmetic, 4: activations rounded to 8 bits
     */
    static byte[] of(QuantizedMatrix matrix, int accuracyLevel) {
        int k = matrix.k();
        int n = matrix.n();
        int block = matrix.groupSize();
        int blocks = (k - 1) / block + 1;
        byte[] codes = new byte[n * blocks * (block / 2)];
        ByteBuffer scales = ByteBuffer.allocate(n * blocks * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        IntStream.range(0, n).parallel().forEach(column -> {
            for (int row = 0; row < k; row++) {
                codes[(column * blocks * block + row) / 2] |= (byte) (matrix.code(row, column) << 4 * (row % 2));
            }
            for (int i = 0; i < blocks; i++) {
                scales.putFloat((column * blocks + i) * Float.BYTES, matrix.scale(i, column));
            }
        });
        Message node = new Message().text(1, "a").text(1, "codes").text(1, "scales").text(2, "y").text(4, "MatMulNBits")
                .message(5, attribute("K", k)).message(5, attribute("N", n)).message(5, attribute("bits", 4))
                .message(5, attribute("block_size", block)).message(5, attribute("accuracy_level", accuracyLevel))
                .text(7, "com.microsoft");
        Message graph = new Message().message(1, node).text(2, "layer")
                .message(5, tensor("codes", UINT8, codes, n, blocks, block / 2))
                .message(5, tensor("scales", FLOAT, scales.array(), (long) n * blocks))
                .message(11, value("a", k)).message(12, value("y", n));
        return new Message().number(1, 8).message(7, graph)
                .message(8, new Message().text(1, "").number(2, 17))
                .message(8, new Message().text(1, "com.microsoft").number(2, 1)).bytes();
    }

    private static Message attribute(String name, long value) {
        return new Message().text(1, name).number(3, value).number(20, ATTRIBUTE_INT);
    }

    private static Message tensor(String name, int type, byte[] raw, long... dimensions) {
        Message tensor = new Message();
        for (long dimension : dimensions) {
            tensor.number(1, dimension);
        }
        return tensor.number(2, type).text(8, name).raw(9, raw);
    }

    /** A float matrix of any number of rows. */
    private static Message value(String name, int columns) {
        Message shape = new Message().message(1, new Message().text(2, "m")).message(1, new Message().number(1, columns));
        return new Message().text(1, name)
                .message(2, new Message().message(1, new Message().number(1, FLOAT).message(2, shape)));
    }

    /** A protobuf message under construction. */
    private static final class Message {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Message number(int field, long value) {
            varint((long) field << 3);
            varint(value);
            return this;
        }

        Message text(int field, String value) {
            return raw(field, value.getBytes(StandardCharsets.UTF_8));
        }

        Message message(int field, Message value) {
            return raw(field, value.bytes());
        }

        Message raw(int field, byte[] value) {
            varint((long) field << 3 | 2);
            varint(value.length);
            out.write(value, 0, value.length);
            return this;
        }

        private void varint(long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                out.write((int) (rest & 0x7f | 0x80));
                rest >>>= 7;
            }
            out.write((int) rest);
        }

        byte[] bytes() {
            return out.toByteArray();
        }
    }
}
