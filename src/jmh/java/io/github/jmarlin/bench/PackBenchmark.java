package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Packing and unpacking a 4096 x 14336 layer, in codes per second. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class PackBenchmark {
    private static final int K = 4096;
    private static final int N = 14336;

    /** Rows that share a scale. */
    @Param({"128", "32"})
    public int groupSize;

    private QuantizedMatrix matrix;
    private PackedWeights packed;

    /** Makes a layer of random codes. */
    @Setup
    public void setUp() {
        Random random = new Random(1);
        var builder = QuantizedMatrix.builder(K, N, groupSize, DataType.FP16).withZeroPoints();
        for (long at = 0; at < builder.codes().size(); at += Long.BYTES) {
            builder.codes().putLong(at, random.nextLong());
        }
        for (int group = 0; group < K / groupSize; group++) {
            for (int column = 0; column < N; column++) {
                builder.setScale(group, column, 0.01f * (1 + random.nextFloat())).setZeroPoint(group, column, random.nextInt(16));
            }
        }
        matrix = builder.build();
        packed = PackedWeights.pack(matrix, DataType.FP16);
    }

    /** Codes, scales and zero points into the striped layout, memory allocated anew. */
    @Benchmark
    @OperationsPerInvocation(K * N)
    public void pack() {
        PackedWeights.pack(matrix, DataType.FP16).close();
    }

    /** And back. */
    @Benchmark
    @OperationsPerInvocation(K * N)
    public void unpack() {
        packed.unpack().close();
    }

    /** Frees the layer. */
    @TearDown
    public void tearDown() {
        packed.close();
        matrix.close();
    }
}
