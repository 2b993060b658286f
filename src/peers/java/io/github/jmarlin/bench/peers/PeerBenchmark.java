package io.github.jmarlin.bench.peers;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.cpu.CpuDevice;
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

/** One product on all processors, each contender in JVMs of its own; {@link PeerTable} times them in turn in one. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "-Xmx3g")
public class PeerBenchmark {
    /** Who multiplies. */
    @Param
    public Contender contender;

    /** Rows of activations. */
    @Param({"1", "4", "16", "64", "128"})
    public int m;

    /** In-features. */
    @Param("4096")
    public int k;

    /** Out-features. */
    @Param({"14336", "4096"})
    public int n;

    private CpuDevice device;
    private Peer peer;

    /** Makes the operands. */
    @Setup
    public void setUp() {
        device = new CpuDevice();
        int threads = Runtime.getRuntime().availableProcessors();
        float[] activations = Contender.activations(Operands.activations(k, DataType.FP16), k, m);
        try (QuantizedMatrix matrix = contender.weights(new LayerShape("layer", k, n))) {
            peer = contender.open(device, matrix, activations, m, threads);
        }
    }

    /** The product. */
    @Benchmark
    public Object product() {
        peer.multiply();
        return peer;
    }

    /** Frees the operands. */
    @TearDown
    public void tearDown() throws Exception {
        peer.close();
        device.close();
    }
}
