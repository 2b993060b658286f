package io.github.jmarlin.bench.host;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.Arena;
import io.github.jmarlin.bench.BenchCase;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Entrant;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.Subject;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cpu.DenseProduct;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** The CPU path, a dense fp32 product by OpenBLAS or a plain Java loop, and a copy of memory. */
public final class CpuArena implements Arena {
    private static final DataType TYPE = DataType.FP32;
    private static final int COPY_LONGS = 32 << 20;

    private final CpuDevice device;
    private final RunInfo info;

    /** @param info where results come from */
    public CpuArena(CpuDevice device, RunInfo info) {
        this.device = device;
        this.info = info;
    }

    @Override
    public RunInfo info() {
        return info;
    }

    @Override
    public String state() {
        return "clocks of the CPU are not read";
    }

    @Override
    public Prepared prepare(BenchCase benchCase) {
        Subject subject = benchCase.subject();
        if (subject.kind() == Subject.Kind.DEVICE) {
            return new Prepared(List.of(copy()), List.of(), () -> { });
        }
        LayerShape shape = benchCase.layers().get(0);
        if (benchCase.layers().size() != 1 || benchCase.mode() != TimingMode.HOST || subject.type() != TYPE) {
            throw new IllegalArgumentException("the CPU multiplies single layers in fp32 and mode host, not " + benchCase.text());
        }
        List<AutoCloseable> open = new ArrayList<>();
        List<Measurement> skipped = new ArrayList<>();
        try {
            return new Prepared(entrants(benchCase, shape, open, skipped), skipped, () -> closeLastFirst(open));
        } catch (RuntimeException e) {
            closeLastFirst(open);
            throw e;
        }
    }

    private List<Entrant> entrants(BenchCase benchCase, LayerShape shape, List<AutoCloseable> open, List<Measurement> skipped) {
        int m = benchCase.subject().m();
        float[] activations = Operands.activations(shape.k(), TYPE);
        List<Entrant> entrants = new ArrayList<>();
        for (int groupSize : benchCase.groupSizes()) {
            QuantizedMatrix matrix = opened(open, Operands.weights(shape, groupSize, DataType.FP16));
            AnswerCheck check = new AnswerCheck(matrix, activations, m);
            entrants.add(packed(opened(open, PackedWeights.pack(matrix, DataType.FP16)), activations, check, open));
            if (groupSize == benchCase.groupSizes().get(0)) {
                addDense(benchCase, matrix, activations, check, entrants, skipped, open);
            }
        }
        return entrants;
    }

    private Entrant packed(PackedWeights weights, float[] activations, AnswerCheck check, List<AutoCloseable> open) {
        LinearLayer layer = opened(open, device.place(weights));
        int m = check.m();
        ByteBuffer a = ByteBuffer.allocateDirect(m * weights.k() * TYPE.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (int row = 0; row < m; row++) {
            Operands.put(a, TYPE, activations, row, weights.k());
        }
        a.flip();
        ByteBuffer c = ByteBuffer.allocateDirect(m * weights.n() * TYPE.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        layer.multiply(TYPE, a, m, c);
        double error = check.error((row, column) -> c.getFloat((row * weights.n() + column) * TYPE.bytes()));
        return new Entrant(Contenders.CPU, weights.groupSize(), weights.byteSize() + operandBytes(weights.k(), weights.n(), m),
                2.0 * m * weights.k() * weights.n(), error, check.bound(TYPE), stopwatch(() -> layer.multiply(TYPE, a, m, c)));
    }

    private void addDense(BenchCase benchCase, QuantizedMatrix matrix, float[] activations, AnswerCheck check,
            List<Entrant> entrants, List<Measurement> skipped, List<AutoCloseable> open) {
        int k = matrix.k();
        int n = matrix.n();
        int m = check.m();
        long bytes = 4L * k * n;
        if ((long) k * n > Integer.MAX_VALUE - 8 || bytes > Runtime.getRuntime().maxMemory() / 2) {
            skipped.add(Measurement.skipped(benchCase.subject(), benchCase.mode(), Contenders.DENSE_JAVA, 0, "dense weights need "
                    + (bytes >> 20) + " MiB of heap, the JVM has " + (Runtime.getRuntime().maxMemory() >> 20)));
            return;
        }
        float[] weights = new float[k * n];
        IntStream.range(0, k).parallel().forEach(row -> {
            for (int column = 0; column < n; column++) {
                weights[row * n + column] = matrix.weight(row, column);
            }
        });
        float[] a = new float[m * k];
        for (int row = 0; row < m; row++) {
            System.arraycopy(activations, row % Operands.DISTINCT_ROWS * k, a, row * k, k);
        }
        Optional<DenseLibrary> library = DenseLibrary.find();
        if (library.isPresent()) {
            DenseLibrary.Product product = opened(open, library.get().product(weights, a, m, k, n, device.threads()));
            addDense(Contenders.DENSE_OPENBLAS, bytes, check, product::multiply, (row, column) -> product.output(row * n + column), k, n,
                    entrants);
        } else {
            float[] c = new float[m * n];
            DenseProduct product = new DenseProduct(weights, k, n);
            addDense(Contenders.DENSE_JAVA, bytes, check, () -> product.multiply(a, m, c), (row, column) -> c[row * n + column], k, n,
                    entrants);
        }
    }

    private static void addDense(String contender, long bytes, AnswerCheck check, Runnable product, AnswerCheck.Answer answer, int k, int n,
            List<Entrant> entrants) {
        int m = check.m();
        product.run();
        entrants.add(new Entrant(contender, 0, bytes + operandBytes(k, n, m), 2.0 * m * k * n, check.error(answer),
                check.baselineBound(TYPE), stopwatch(product)));
    }

    private static double operandBytes(int k, int n, int m) {
        return (double) m * (k + n) * TYPE.bytes();
    }

    private static Entrant copy() {
        long[] from = IntStream.range(0, COPY_LONGS).mapToLong(i -> i).toArray();
        long[] to = new long[COPY_LONGS];
        int parts = Runtime.getRuntime().availableProcessors();
        int part = COPY_LONGS / parts;
        return new Entrant(Contenders.COPY, 0, 2.0 * Long.BYTES * part * parts, 0, null, null, stopwatch(() ->
                IntStream.range(0, parts).parallel().forEach(i -> System.arraycopy(from, i * part, to, i * part, part))));
    }

    private static Entrant.Sampler stopwatch(Runnable action) {
        return () -> {
            long start = System.nanoTime();
            action.run();
            return (System.nanoTime() - start) / 1e3;
        };
    }

    private static <T extends AutoCloseable> T opened(List<AutoCloseable> open, T resource) {
        open.add(resource);
        return resource;
    }

    /** A layer has to be closed before its weights. */
    private static void closeLastFirst(List<AutoCloseable> open) {
        for (int i = open.size() - 1; i >= 0; i--) {
            try {
                open.get(i).close();
            } catch (Exception e) {
                throw new IllegalStateException("closing " + open.get(i) + " failed", e);
            }
        }
    }

    @Override
    public void close() {
    }
}
