package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** Tensors that lie in a file otherwise than a model has them; their bytes are made when they are read. */
final class MadeTensors {
    private MadeTensors() {
    }

    /**
     * The rows of queries or keys as rotary embedding by halves wants them; the file has them for rotation of neighbours:
     * <pre>
     *   of a head of d rows       0        1        2        3     ...    d - 2      d - 1
     *   in the file               0      d / 2      1     d / 2 + 1     d / 2 - 1    d - 1
     * </pre>
     *
     * @param rows heads of {@code headSize} rows; or a vector of so many elements
     */
    static Tensor halves(Tensor rows, int headSize) {
        int rowBytes = Math.toIntExact(rows.bytes() / rows.shape().get(0));
        return Tensor.derived(rows, rows.info(), (offset, length) -> {
            ByteBuffer made = buffer(length);
            while (made.hasRemaining()) {
                long row = (offset + made.position()) / rowBytes;
                int inside = (int) ((offset + made.position()) % rowBytes);
                int place = (int) (row % headSize);
                long source = row - place + 2L * (place % (headSize / 2)) + place / (headSize / 2);
                made.put(rows.slice(source * rowBytes + inside, Math.min(rowBytes - inside, made.remaining())));
            }
            return finished(made);
        });
    }

    /** A matrix of blocks as fp16, each number rounded to the nearest. */
    static Tensor fp16(Tensor matrix, GgufBlocks blocks) {
        GgufType type = blocks.type();
        int made = type.blockElements() * Short.BYTES;
        long count = matrix.bytes() / type.blockBytes();
        List<Long> shape = List.of(matrix.shape().get(0), matrix.shape().get(1) / type.blockBytes() * type.blockElements());
        TensorInfo info = new TensorInfo(matrix.name(), TensorType.F16, shape, 0, count * made);
        return Tensor.derived(matrix, info, (offset, length) -> {
            long first = offset / made;
            int used = (int) ((offset + length + made - 1) / made - first);
            byte[] source = new byte[used * type.blockBytes()];
            matrix.slice(first * type.blockBytes(), source.length).get(source);
            ByteBuffer all = buffer(used * made);
            float[] values = new float[type.blockElements()];
            for (int block = 0; block < used; block++) {
                blocks.decode(source, block * type.blockBytes(), values);
                for (float value : values) {
                    all.putShort(HalfFloats.toFp16(value));
                }
            }
            return finished(all.slice((int) (offset - first * made), length).position(length));
        });
    }

    private static ByteBuffer buffer(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static ByteBuffer finished(ByteBuffer made) {
        return made.flip().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }
}
