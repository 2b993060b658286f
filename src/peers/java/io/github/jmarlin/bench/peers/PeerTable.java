package io.github.jmarlin.bench.peers;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.bench.Provenance;
import io.github.jmarlin.cpu.CpuDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Prints a table in which all contenders were timed in turn in one process, so that whatever else the machine does meets them all:
 * visit after visit, each some calls to warm up and some that count. NOTES: between visits it sleeps, because some libraries' threads
 * spin after a call, on processors that the next one needs.
 *
 * <p>Arguments: k x n (as {@code 4096x14336}), visits, batches separated by commas, threads (all processors), names of contenders
 * separated by commas (all).
 */
public final class PeerTable {
    private static final int WARM_CALLS = 3;
    private static final int TIMED_CALLS = 7;
    private static final int PAUSE_MILLIS = 15;

    private PeerTable() {
    }

    /** Measures and prints. */
    public static void main(String[] args) throws Exception {
        String[] size = (args.length > 0 ? args[0] : "4096x14336").split("x");
        int visits = args.length > 1 ? Integer.parseInt(args[1]) : 30;
        int[] batches = Arrays.stream((args.length > 2 ? args[2] : "1,4,16,64,128").split(",")).mapToInt(Integer::parseInt).toArray();
        LayerShape shape = new LayerShape("layer", Integer.parseInt(size[0]), Integer.parseInt(size[1]));
        int threads = args.length > 3 ? Integer.parseInt(args[3]) : Runtime.getRuntime().availableProcessors();
        List<Contender> contenders = Arrays.stream(args.length > 4 ? args[4].split(",") : new String[0]).map(Contender::valueOf).toList();
        try (CpuDevice device = new CpuDevice(threads)) {
            System.out.printf(Locale.ROOT, "k %d, n %d, %d thread(s), JMarlin with %s, commit %s, %s, %s%n%n", shape.k(), shape.n(),
                    threads, device.computesWith(), Provenance.commit(), Provenance.java(), Provenance.system());
            System.out.println("| m | contender | least ms | p10 ms | median ms | GB/s of weights | over ORT level 4, p10 | median | "
                    + "error |");
            System.out.println("|--:|---|--:|--:|--:|--:|--:|--:|--:|");
            for (int m : batches) {
                List<Contender> all = contenders.isEmpty() ? List.of(Contender.values()) : contenders;
                print(shape, m, measure(device, shape, m, visits, threads, all));
            }
        }
    }

    /** Milliseconds, sorted, and the error against fp64. */
    private record Result(double[] millis, double error) {
        double quantile(double q) {
            return millis[(int) (q * (millis.length - 1))];
        }
    }

    private static Map<Contender, Result> measure(CpuDevice device, LayerShape shape, int m, int visits, int threads,
            List<Contender> contenders) throws Exception {
        float[] distinct = Operands.activations(shape.k(), DataType.FP16);
        float[] activations = Contender.activations(distinct, shape.k(), m);
        Map<Contender, Peer> peers = new EnumMap<>(Contender.class);
        Map<Contender, Double> errors = new EnumMap<>(Contender.class);
        Map<Contender, List<Double>> millis = new EnumMap<>(Contender.class);
        for (Contender contender : contenders) {
            try (QuantizedMatrix matrix = contender.weights(shape)) {
                Peer peer = contender.open(device, matrix, activations, m, threads);
                peer.multiply();
                errors.put(contender, new AnswerCheck(matrix, distinct, m).error((row, column) -> peer.output(row * shape.n() + column)));
                peers.put(contender, peer);
                millis.put(contender, new ArrayList<>());
            }
        }
        for (int visit = 0; visit < visits; visit++) {
            for (Contender contender : contenders) {
                Peer peer = peers.get(contender);
                Thread.sleep(PAUSE_MILLIS);
                for (int call = 0; call < WARM_CALLS; call++) {
                    peer.multiply();
                }
                for (int call = 0; call < TIMED_CALLS; call++) {
                    long start = System.nanoTime();
                    peer.multiply();
                    millis.get(contender).add((System.nanoTime() - start) * 1e-6);
                }
            }
        }
        Map<Contender, Result> results = new EnumMap<>(Contender.class);
        for (Contender contender : contenders) {
            double[] sorted = millis.get(contender).stream().mapToDouble(t -> t).sorted().toArray();
            results.put(contender, new Result(sorted, errors.get(contender)));
            peers.get(contender).close();
        }
        return results;
    }

    private static void print(LayerShape shape, int m, Map<Contender, Result> results) {
        Result ort = results.get(Contender.ORT_4_128);
        results.forEach((contender, r) -> {
            double bytes = contender == Contender.OPENBLAS ? 4.0 * shape.weights() : (0.5 + 2.0 / contender.block()) * shape.weights();
            System.out.printf(Locale.ROOT, "| %d | %s | %.3f | %.3f | %.3f | %.1f | %.2fx | %.2fx | %.1e |%n", m, contender.title(),
                    r.quantile(0), r.quantile(0.1), r.quantile(0.5), bytes / r.quantile(0.1) * 1e-6,
                    ort == null ? Double.NaN : ort.quantile(0.1) / r.quantile(0.1),
                    ort == null ? Double.NaN : ort.quantile(0.5) / r.quantile(0.5), r.error());
        });
    }
}
