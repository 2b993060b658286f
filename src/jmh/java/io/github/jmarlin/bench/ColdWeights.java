package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

/**
 * One row of activations through layer after layer, as a decoder does, so many that no cache still holds a layer when its turn comes
 * again; and in between the same threads do nothing but read the same bytes. What a product reaches of that rate is printed.
 *
 * <p>Arguments: k x n (4096x14336), threads (all processors), visits (60).
 */
public final class ColdWeights {
    /** More than the last-level caches of the processors that this runs on. */
    private static final long LEAST_BYTES = 256 << 20;
    private static final int LINE_LONGS = 64 / Long.BYTES;
    private static final int WARM_VISITS = 10;

    private final int threads;
    private final List<PackedWeights> weights = new ArrayList<>();
    private final List<LinearLayer> layers = new ArrayList<>();
    private final ByteBuffer a;
    private final ByteBuffer c;
    /** What was read must count for something, or it is not read. */
    private long sum;

    private ColdWeights(LayerShape shape, CpuDevice device, int threads) {
        this.threads = threads;
        try (QuantizedMatrix matrix = Operands.weights(shape, 128, DataType.FP16)) {
            for (long bytes = 0; bytes < LEAST_BYTES; bytes += weights.get(0).codes().size()) {
                weights.add(PackedWeights.pack(matrix, DataType.FP16));
                layers.add(device.place(weights.get(weights.size() - 1)));
            }
        }
        a = ByteBuffer.allocateDirect(2 * shape.k()).order(ByteOrder.LITTLE_ENDIAN);
        c = ByteBuffer.allocateDirect(2 * shape.n()).order(ByteOrder.LITTLE_ENDIAN);
        Operands.put(a, DataType.FP16, Operands.activations(shape.k(), DataType.FP16), 0, shape.k());
        a.flip();
    }

    /** Measures and prints. */
    public static void main(String[] args) throws Exception {
        String[] size = (args.length > 0 ? args[0] : "4096x14336").split("x");
        LayerShape shape = new LayerShape("layer", Integer.parseInt(size[0]), Integer.parseInt(size[1]));
        int threads = args.length > 1 ? Integer.parseInt(args[1]) : Runtime.getRuntime().availableProcessors();
        int visits = args.length > 2 ? Integer.parseInt(args[2]) : 60;
        ExecutorService readers = Executors.newFixedThreadPool(threads);
        try (CpuDevice device = new CpuDevice(threads)) {
            ColdWeights cold = new ColdWeights(shape, device, threads);
            long bytes = cold.weights.stream().mapToLong(each -> each.codes().size()).sum();
            System.out.printf(Locale.ROOT, "k %d, n %d, m 1, %d layers, %d MB of codes, %d thread(s), %s, commit %s, %s, %s%n", shape.k(),
                    shape.n(), cold.layers.size(), bytes >> 20, threads, device.computesWith(), Provenance.commit(), Provenance.java(),
                    Provenance.system());
            double[] products = new double[visits];
            double[] reads = new double[visits];
            for (int visit = -WARM_VISITS; visit < visits; visit++) {
                double product = bytes / (double) cold.multiply();
                double read = bytes / (double) cold.read(readers);
                if (visit >= 0) {
                    products[visit] = product;
                    reads[visit] = read;
                }
            }
            Quantiles product = Quantiles.of(products);
            Quantiles read = Quantiles.of(reads);
            String line = "%s: product %.1f GB/s of codes, only reading %.1f GB/s, share %.0f %%%n";
            System.out.printf(Locale.ROOT, line, "median", product.median(), read.median(), 100 * product.median() / read.median());
            System.out.printf(Locale.ROOT, line, "p90", product.p90(), read.p90(), 100 * product.p90() / read.p90());
            cold.close();
        } finally {
            readers.shutdown();
        }
    }

    /** Nanoseconds through all layers. */
    private long multiply() {
        long start = System.nanoTime();
        for (LinearLayer layer : layers) {
            layer.multiply(DataType.FP16, a, 1, c);
        }
        return System.nanoTime() - start;
    }

    /** Nanoseconds to read all codes, each layer's by all threads. */
    private long read(ExecutorService readers) throws Exception {
        long start = System.nanoTime();
        List<Callable<Long>> tasks = IntStream.range(0, threads).<Callable<Long>>mapToObj(thread -> () -> {
            long total = 0;
            for (PackedWeights each : weights) {
                ByteBuffer codes = each.codes().slice(0, (int) each.codes().size());
                LongBuffer longs = codes.order(ByteOrder.nativeOrder()).asLongBuffer();
                int lines = longs.capacity() / LINE_LONGS;
                total += sum(longs, lines / 4 * thread / threads * 4, lines / 4 * (thread + 1) / threads * 4);
            }
            return total;
        }).toList();
        for (Future<Long> part : readers.invokeAll(tasks)) {
            sum += part.get();
        }
        return System.nanoTime() - start;
    }

    /** A number of each line makes the processor fetch the line; four sums keep it from waiting for the addition. */
    private static long sum(LongBuffer memory, int beginLine, int endLine) {
        long x = 0;
        long y = 0;
        long z = 0;
        long w = 0;
        for (int i = beginLine * LINE_LONGS; i < endLine * LINE_LONGS; i += 4 * LINE_LONGS) {
            x += memory.get(i);
            y += memory.get(i + LINE_LONGS);
            z += memory.get(i + 2 * LINE_LONGS);
            w += memory.get(i + 3 * LINE_LONGS);
        }
        return x + y + z + w;
    }

    private void close() {
        layers.forEach(LinearLayer::close);
        weights.forEach(PackedWeights::close);
        if (sum == 0) {
            System.out.println("the codes add up to 0");
        }
    }
}
