package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.cpu.CpuDevice;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One product under JMH, with the contenders, operands and answer checks of {@code jmarlin bench}; for what that program does not
 * offer: JMH's profilers, forks and parameters.
 *
 * <pre>java -cp jmarlin-cli.jar org.openjdk.jmh.Main GemmBenchmark -p contender=jmarlin,cublas -p m=1,16 -prof gc</pre>
 *
 * <p>The score {@code products} is the time of one product. On a GPU it is by the wall clock of this thread, from the first
 * launch of a sample to the end of its last kernel: a little above the events' time that {@code jmarlin bench} reports.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@org.openjdk.jmh.annotations.Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class GemmBenchmark {
    /** See {@link Contenders}; a tile after {@code jmarlin} forces that kernel. */
    @Param({Contenders.JMARLIN, Contenders.CUBLAS, Contenders.DEQUANTIZE_CUBLAS, Contenders.CPU, Contenders.DENSE_JAVA})
    public String contender;

    @Param({"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192"})
    public int m;

    /** In-features x out-features; {@link ModelShapes#distinct} lists those of real models. */
    @Param("8192x8192")
    public String shape;

    @Param({"-1", "128"})
    public int group;

    /** Of activations and outputs; the CPU's are FP32 whatever this says. */
    @Param({"FP16", "BF16"})
    public DataType type;

    @Param("GRAPH")
    public TimingMode mode;

    private Arena arena;
    private Arena.Prepared prepared;
    private Entrant entrant;

    /** Counts what one invocation does, which depends on the mode and the operands. */
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    @State(Scope.Thread)
    public static class Counts {
        public long products;
    }

    /** Opens the device, makes the operands and checks the answer. */
    @Setup
    public void prepare() {
        String[] size = shape.split("x");
        LayerShape layer = new LayerShape("", Integer.parseInt(size[0]), Integer.parseInt(size[1]));
        boolean cpu = contender.equals(Contenders.CPU) || contender.equals(Contenders.DENSE_JAVA);
        arena = cpu ? Arenas.of(new DeviceChoice(new CpuDevice(), contender)) : Arenas.of(Devices.best());
        BenchCase benchCase = new BenchCase(Subject.layer(layer, m, cpu ? DataType.FP32 : type), List.of(layer),
                cpu ? TimingMode.HOST : mode, List.of(group), !contender.equals(Contenders.JMARLIN)
                && Contenders.isJMarlin(contender) && !cpu);
        prepared = arena.prepare(benchCase);
        entrant = prepared.entrants().stream().filter(e -> e.contender().equals(contender)).findFirst().orElseThrow(() ->
                new IllegalStateException("no contender \"" + contender + "\" for " + benchCase.text() + ": "
                        + prepared.skipped()));
        if (entrant.isWrong()) {
            throw new IllegalStateException(contender + " gives a wrong answer: relative error " + entrant.error()
                    + " is not at most "
                    + entrant.errorBound());
        }
    }

    /** Frees everything. */
    @TearDown
    public void close() {
        prepared.close();
        arena.close();
    }

    /** Takes one sample: several products on a GPU, one on the CPU. */
    @Benchmark
    public double sample(Counts counts) {
        counts.products += entrant.sampler().products();
        return entrant.sampler().sampleMicros();
    }
}
