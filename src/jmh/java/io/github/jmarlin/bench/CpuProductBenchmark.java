package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cpu.DenseProduct;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The product on the processor, 4-bit and dense, same shape, same activations, same run; set up only if both agree. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "-Xmx2g")
public class CpuProductBenchmark {
    /** Rows of activations. */
    @Param({"1", "16"})
    public int m;

    /** Rows and columns of the weights. */
    @Param("4096")
    public int size;

    /** Rows that share a scale. */
    @Param("128")
    public int groupSize;

    private float[] denseActivations;
    private float[] denseOutputs;
    private DenseProduct dense;
    private ByteBuffer activations;
    private ByteBuffer outputs;
    private PackedWeights weights;
    private LinearLayer layer;

    /** Makes the operands, and multiplies both ways once to compare. */
    @Setup
    public void setUp() {
        Random random = new Random(1);
        var builder = QuantizedMatrix.builder(size, size, groupSize, DataType.FP16);
        for (int row = 0; row < size; row++) {
            byte[] codes = new byte[size];
            for (int column = 0; column < size; column++) {
                codes[column] = (byte) random.nextInt(16);
                if (row % groupSize == 0) {
                    builder.setScale(row / groupSize, column, 0.01f * (1 + random.nextFloat()));
                }
            }
            builder.setCodes(row, codes);
        }
        try (QuantizedMatrix matrix = builder.build()) {
            float[] denseWeights = new float[size * size];
            for (int i = 0; i < denseWeights.length; i++) {
                denseWeights[i] = matrix.weight(i / size, i % size);
            }
            dense = new DenseProduct(denseWeights, size, size);
            weights = PackedWeights.pack(matrix, DataType.FP16);
        }
        layer = new CpuDevice().place(weights);
        denseActivations = new float[m * size];
        denseOutputs = new float[m * size];
        activations = ByteBuffer.allocateDirect(m * size * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        outputs = ByteBuffer.allocateDirect(m * size * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < m * size; i++) {
            denseActivations[i] = (float) random.nextGaussian();
            activations.putFloat(i * Float.BYTES, denseActivations[i]);
        }
        compare();
    }

    private void compare() {
        denseFp32();
        fourBit();
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < denseOutputs.length; i++) {
            difference += Math.pow(outputs.getFloat(i * Float.BYTES) - denseOutputs[i], 2);
            norm += Math.pow(denseOutputs[i], 2);
        }
        double error = Math.sqrt(difference / norm);
        if (!(error <= 1e-5)) {
            throw new IllegalStateException("the two products differ by " + error + ", relative; at most 1e-5 expected");
        }
    }

    /** 4-bit weights. */
    @Benchmark
    public ByteBuffer fourBit() {
        layer.multiply(DataType.FP32, activations, m, outputs);
        return outputs;
    }

    /** Dense weights of the same values. */
    @Benchmark
    public float[] denseFp32() {
        dense.multiply(denseActivations, m, denseOutputs);
        return denseOutputs;
    }

    /** Frees the weights. */
    @TearDown
    public void tearDown() {
        layer.close();
        weights.close();
    }
}
