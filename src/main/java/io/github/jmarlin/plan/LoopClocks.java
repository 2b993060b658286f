package io.github.jmarlin.plan;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Clocks in which an SM works off a block of 64 x 64 codes and a batch tile while memory keeps up, by kernel and architecture: unpacking,
 * tensor cores, waits, starting copies, and in the Hopper kernel the producer. A block of sparse weights covers 128 k: their tensor
 * instructions are as many and as long, each for twice the k. Immutable and thread-safe.
 *
 * <p>The table beside this class is replayed from the machine code that ships ({@code src/replay}), never measured. A tuning file may
 * have a kernel's clocks as measured, by the kernel's name without the compute type: {@code striped_sym_g64_m64_n256}. Where a table's
 * figure is less than what the tensor cores take at the {@link Rate}s of the device, theirs counts.
 */
final class LoopClocks {
    /** m16n8k16 instructions for 64 x 64 codes and 8 rows. */
    private static final int MMA_PER_BLOCK_AND_EIGHT_ROWS = 16;
    /** wgmma instructions for the 64 k of a block. */
    private static final int WGMMA_PER_BLOCK = 4;
    /** Sustained share of the tensor rate: 790 of 946 TFLOP/s. */
    private static final double TENSOR_EFFICIENCY = 0.83;

    private static final String RESOURCE = "loop-clocks.txt";
    private static final String NONE = "-";
    private static final Table TABLE = Table.read();

    /**
     * What a column was replayed for.
     *
     * @param capability compute capability, times ten
     * @param mmaPerClock m16n8k16 with fp32 sums per clock and SM
     */
    private record Column(int capability, double mmaPerClock) {
        static Column parse(String text) {
            String[] parts = text.split("@");
            return new Column((int) Math.round(10 * Double.parseDouble(parts[0])), Double.parseDouble(parts[1]));
        }

        @Override
        public String toString() {
            return String.format(Locale.ROOT, "%d.%d at %s mma a clock", capability / 10, capability % 10, mmaPerClock);
        }
    }

    /** @param rows clocks per column, NaN where the kernel does not run */
    private record Table(List<Column> columns, Map<String, double[]> rows) {
        static Table read() {
            List<Column> columns = new ArrayList<>();
            Map<String, double[]> rows = new LinkedHashMap<>();
            try (InputStream in = Objects.requireNonNull(LoopClocks.class.getResourceAsStream(RESOURCE), RESOURCE);
                    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
                lines.lines().filter(line -> !line.startsWith("#")).map(line -> line.split(" +")).forEach(words -> {
                    List<String> cells = List.of(words).subList(1, words.length);
                    if (columns.isEmpty()) {
                        cells.forEach(cell -> columns.add(Column.parse(cell)));
                    } else {
                        rows.put(words[0], cells.stream().mapToDouble(cell -> cell.equals(NONE) ? Double.NaN : Double.parseDouble(cell))
                                .toArray());
                    }
                });
            } catch (IOException e) {
                throw new UncheckedIOException(RESOURCE, e);
            }
            return new Table(List.copyOf(columns), rows);
        }
    }

    private final DeviceFacts device;
    private final Map<String, Double> measured;
    private final Rates rates;

    /** @param measured clocks by kernel; other names do not matter here */
    LoopClocks(DeviceFacts device, Map<String, Double> measured, Rates rates) {
        this.device = device;
        this.measured = measured;
        this.rates = rates;
    }

    /** The kernels that there are clocks of. */
    static Set<String> kernels() {
        return TABLE.rows.keySet();
    }

    double of(WeightShape weights, TileShape tile) {
        return of(tile.kernelName(weights),
                MMA_PER_BLOCK_AND_EIGHT_ROWS * (tile.batchTile() / 8) / rates.of(Rate.MMA_PER_CLOCK));
    }

    double of(WeightShape weights, HopperTile tile) {
        double wgmma = Math.max(rates.of(Rate.LEAST_WGMMA_CLOCKS), rates.of(Rate.CLOCKS_PER_WGMMA_COLUMN) * tile.batchTile());
        return of(tile.kernelName(weights), WGMMA_PER_BLOCK * wgmma / TENSOR_EFFICIENCY);
    }

    private double of(String kernelName, double tensor) {
        String kernel = withoutType(kernelName);
        return measured.containsKey(kernel) ? measured.get(kernel) : Math.max(row(kernel)[column(kernel)], tensor);
    }

    /** A kernel's figure and where it is from, for reasons. */
    String words(WeightShape weights, TileShape tile) {
        return words(tile.kernelName(weights), of(weights, tile));
    }

    String words(WeightShape weights, HopperTile tile) {
        return words(tile.kernelName(weights), of(weights, tile));
    }

    private String words(String kernelName, double clocks) {
        String kernel = withoutType(kernelName);
        return String.format(Locale.ROOT, "%.0f clocks a block of 64 x 64 codes, %s", clocks,
                measured.containsKey(kernel) ? "as measured" : "as replayed for " + TABLE.columns.get(column(kernel)));
    }

    /** Both types have the same instructions under other names. */
    private static String withoutType(String kernelName) {
        return kernelName.replaceFirst("_b?f16_", "_");
    }

    private static double[] row(String kernel) {
        double[] row = TABLE.rows.get(kernel);
        if (row == null) {
            throw new IllegalStateException(RESOURCE + " has no line for " + kernel + ": src/replay writes it");
        }
        return row;
    }

    /** Of this device's columns, else of all, the one with the nearest tensor rate. */
    private int column(String kernel) {
        double[] row = row(kernel);
        List<Column> columns = TABLE.columns;
        boolean known = columns.stream().anyMatch(column -> column.capability == device.computeCapability());
        return IntStream.range(0, row.length).boxed()
                .filter(i -> !Double.isNaN(row[i]) && (!known || columns.get(i).capability == device.computeCapability()))
                .min(Comparator.comparingDouble(i -> Math.abs(Math.log(columns.get(i).mmaPerClock / rates.of(Rate.MMA_PER_CLOCK)))))
                .orElseThrow(() -> new IllegalStateException(kernel + " on " + device + ": no such kernel runs there"));
    }
}
