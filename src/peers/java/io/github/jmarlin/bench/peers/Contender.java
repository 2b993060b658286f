package io.github.jmarlin.bench.peers;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.cpu.CpuDevice;

/** Who takes part, with 4-bit weights of the same values in blocks of the same size. */
public enum Contender {
    /** What this machine's CPU path computes with. */
    JMARLIN("JMarlin, fp16", 128, 0),
    /** Smaller groups. */
    JMARLIN_32("JMarlin, fp16, group 32", 32, 0),
    /** Three digits. */
    JMARLIN_FP32("JMarlin, fp32", 128, 0),
    /** Activations rounded to 8 bits. */
    ORT_4_128("ONNX Runtime, level 4, block 128", 128, 4),
    /** The same in smaller blocks. */
    ORT_4_32("ONNX Runtime, level 4, block 32", 32, 4),
    /** fp32 arithmetic. */
    ORT_1_128("ONNX Runtime, level 1, block 128", 128, 1),
    /** The same in smaller blocks. */
    ORT_1_32("ONNX Runtime, level 1, block 32", 32, 1),
    /** Dense fp32 weights. */
    OPENBLAS("OpenBLAS sgemm, dense fp32", 128, 0);

    private final String title;
    private final int block;
    private final int level;

    Contender(String title, int block, int level) {
        this.title = title;
        this.block = block;
        this.level = level;
    }

    /** For tables. */
    String title() {
        return title;
    }

    int block() {
        return block;
    }

    /** Its product of m rows of the shape's {@link Operands}. */
    Peer open(CpuDevice device, QuantizedMatrix matrix, float[] activations, int m, int threads) {
        return switch (this) {
            case JMARLIN, JMARLIN_32 -> new JMarlinProduct(device, matrix, DataType.FP16, activations, m);
            case JMARLIN_FP32 -> new JMarlinProduct(device, matrix, DataType.FP32, activations, m);
            case OPENBLAS -> new OpenBlasProduct(matrix, activations, m, threads);
            default -> new OnnxProduct(matrix, level, activations, m, threads);
        };
    }

    QuantizedMatrix weights(LayerShape shape) {
        return Operands.weights(shape, block, DataType.FP16);
    }

    /** Rows of the operands, repeated as {@link Operands} says. */
    static float[] activations(float[] distinct, int k, int m) {
        float[] rows = new float[m * k];
        for (int row = 0; row < m; row++) {
            System.arraycopy(distinct, row % Operands.DISTINCT_ROWS * k, rows, row * k, k);
        }
        return rows;
    }
}
