package io.github.jmarlin.plan;

import io.github.jmarlin.DataType;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Winners measured on one device, which the planner prefers to its cost model, and rates for that model. Immutable and
 * thread-safe; {@link TuningFile} reads and writes it.
 *
 * <p>Who decides, first to last: {@link PlanOptions} other than the default, a winner for this product, the cost model, which counts
 * with the measured rates wherever it is asked.
 *
 * <p>A winner serves exactly the rows that it was measured for, but one of {@link KernelFamily#DENSE} is a crossover: where expanding the
 * weights has paid, it pays for more rows as well. So that one serves all rows from its own up to the next number of rows that was
 * measured for the same product, whoever won there.
 */
public final class Tuning {
    /** Nothing measured: the cost model decides. */
    public static final Tuning NONE = new Tuning("", "", Map.of(), Map.of());

    private static final int LEAST_ROWS = 8;

    private final String origin;
    private final String note;
    private final Map<String, Double> rates;
    private final Map<Product, Winner> winners;
    /** The same by rows, for a product of the fewest rows. */
    private final Map<Product, NavigableMap<Integer, Winner>> byRows = new HashMap<>();

    private Tuning(String origin, String note, Map<String, Double> rates, Map<Product, Winner> winners) {
        this.origin = origin;
        this.note = note;
        this.rates = Collections.unmodifiableMap(rates);
        this.winners = Collections.unmodifiableMap(winners);
        winners.forEach((product, winner) ->
                byRows.computeIfAbsent(product.withRows(LEAST_ROWS), p -> new TreeMap<>()).put(product.rows(), winner));
    }

    /**
     * What a winner was measured for. Groups that are whole blocks and whole columns run the same kernels and share a winner.
     *
     * @param k in-features
     * @param n out-features
     * @param weights what a weight is and how many rows share a scale, as kernels' names have it: {@code sym_g64}, {@code zp_g32}
     * @param type compute type
     * @param rows a multiple of 8, standing for every m in {@code (rows - 8, rows]}
     */
    public record Product(int k, int n, String weights, DataType type, int rows) {
        public Product {
            KernelSet.ofWeights(weights);
            Objects.requireNonNull(type, "type");
            if (k < 1 || n < 1 || type == DataType.FP32 || rows < 8 || rows > Planner.MOST_ROWS || rows % 8 != 0) {
                throw new IllegalArgumentException("product of " + rows + " rows with " + k + " x " + n + " " + type
                        + ": k and n must be positive, the type FP16 or BF16, rows a multiple of 8 up to " + Planner.MOST_ROWS);
            }
        }

        private Product withRows(int other) {
            return new Product(k, n, weights, type, other);
        }

        /** The product of {@code m} rows with these weights. */
        public static Product of(WeightShape weights, int m) {
            return new Product(weights.k(), weights.n(), weights.kind(), weights.computeType(), (m + 7) / 8 * 8);
        }
    }

    /**
     * The fastest way found.
     *
     * @param options family and, unless that is DENSE, tile; grid, stages and cut, or the planner's
     * @param seconds median time of one launch
     */
    public record Winner(PlanOptions options, double seconds) {
        public Winner {
            if (options.batchInvariant() || !isFull(options)) {
                throw new IllegalArgumentException("winner " + options + ": must name a tile, or be DENSE, and not be batch-invariant");
            }
            if (!(seconds > 0 && seconds < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("winner of " + seconds + " seconds: must be positive and finite");
            }
        }

        private static boolean isFull(PlanOptions options) {
            return options.family().isPresent() && switch (options.family().get()) {
                case STRIPED -> options.tile().isPresent();
                case HOPPER -> options.hopperTile().isPresent();
                case DENSE -> true;
            };
        }

        /** Which kernel won. */
        public KernelFamily family() {
            return options.family().get();
        }
    }

    /** Nothing measured, for a reason that plans shall tell. */
    static Tuning ignored(String why) {
        return new Tuning("", why, Map.of(), Map.of());
    }

    static Tuning of(String origin, Map<String, Double> rates, Map<Product, Winner> winners) {
        return new Tuning(origin, "", new TreeMap<>(rates), new LinkedHashMap<>(winners));
    }

    /** As this, and one winner more; it replaces what was known of the same product. */
    public Tuning with(Product product, Winner winner) {
        Map<Product, Winner> more = new LinkedHashMap<>(winners);
        more.put(product, winner);
        return new Tuning(origin, note, rates, more);
    }

    /** As this, without what was known of a product. */
    public Tuning without(Product product) {
        Map<Product, Winner> fewer = new LinkedHashMap<>(winners);
        fewer.remove(product);
        return new Tuning(origin, note, rates, fewer);
    }

    /**
     * As this, and one measured rate more.
     *
     * @param name of a {@link Rate}, or a kernel's without the compute type, as in {@code striped_sym_g64_m64_n256}, for the clocks that an
     *     SM takes for a block of 64 x 64 codes
     * @throws IllegalArgumentException if nothing has this name, or this is no value for it
     */
    public Tuning with(String name, double value) {
        Rates.check(name, value);
        Map<String, Double> more = new TreeMap<>(rates);
        more.put(name, value);
        return new Tuning(origin, note, more, winners);
    }

    /** The rates alone: for predictions. */
    Tuning withoutWinners() {
        return winners.isEmpty() ? this : new Tuning(origin, note, rates, Map.of());
    }

    /** What the cost model shall count with instead of its assumptions, by name. */
    public Map<String, Double> rates() {
        return rates;
    }

    /** All winners, in the order of the file. */
    public Map<Product, Winner> winners() {
        return winners;
    }

    /** Where the winners are from, for reasons; empty if nowhere. */
    public String origin() {
        return origin;
    }

    /** Why a file that is there, or was asked for, is ignored; empty if none is. */
    public String note() {
        return note;
    }

    /**
     * Who serves a product.
     *
     * @param winner for it
     * @param rows that the winner was measured for
     */
    record Served(Winner winner, int rows) {}

    Optional<Served> winner(WeightShape weights, int rows) {
        NavigableMap<Integer, Winner> measured = byRows.get(Product.of(weights, LEAST_ROWS));
        Map.Entry<Integer, Winner> nearest = measured == null ? null : measured.floorEntry(rows);
        boolean serves = nearest != null && (nearest.getKey() == rows || nearest.getValue().family() == KernelFamily.DENSE);
        return serves ? Optional.of(new Served(nearest.getValue(), nearest.getKey())) : Optional.empty();
    }
}
