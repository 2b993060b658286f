package io.github.jmarlin.cli;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DataType;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.cuda.LaunchTimer;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.WeightShape;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * All ways to run one product, measured: those whose answers are wrong are out, of the others the fastest wins.
 *
 * @param winner empty if all were wrong
 * @param predicted the planner's own choice; empty if that was wrong
 * @param candidates how many there were
 * @param wrong how many of them were wrong
 * @param notCaptured those that were timed launch by launch, which is slower, each with the reason
 */
record TuneContest(Optional<Tuning.Winner> winner, Optional<Tuning.Winner> predicted, int candidates, int wrong,
        List<String> notCaptured) {
    /** Less than this is no difference between two measurements. */
    private static final double NOISE = 0.01;
    /** A row of a small layer scatters more than the bound, which is for large ones; a broken kernel is off by far more. */
    private static final double SCATTER = 2;

    /**
     * Measures {@code m} rows.
     *
     * @param expected at least their products, {@code [m][n]}
     * @param candidates the planner's own choice first
     * @throws JMarlinException if a launch fails, with the name of the candidate: the device may then be of no more use
     */
    static TuneContest of(LaunchTimer timer, double[] expected, WeightShape layer, int m, List<PlanOptions> candidates) {
        Tuning.Winner predicted = null;
        Tuning.Winner fastest = null;
        int wrong = 0;
        Set<String> notCaptured = new LinkedHashSet<>();
        for (PlanOptions options : candidates) {
            try {
                if (!isRight(timer, expected, layer, m, options)) {
                    wrong++;
                    continue;
                }
                Tuning.Winner timed = timed(timer, m, options, notCaptured);
                predicted = options == candidates.get(0) ? timed : predicted;
                fastest = fastest == null || timed.seconds() < fastest.seconds() ? timed : fastest;
            } catch (CudaCallException e) {
                throw new JMarlinException(text(options) + " for " + m + " rows with " + layer + ": " + e.getMessage(), e);
            }
        }
        if (predicted != null && predicted != fastest) {
            // The least of many measurements is least by luck too: both again, and the planner's choice wins a draw.
            predicted = timed(timer, m, predicted.options(), notCaptured);
            fastest = timed(timer, m, fastest.options(), notCaptured);
            fastest = predicted.seconds() <= fastest.seconds() * (1 + NOISE) ? predicted : fastest;
        }
        return new TuneContest(Optional.ofNullable(fastest), Optional.ofNullable(predicted), candidates.size(), wrong,
                List.copyOf(notCaptured));
    }

    private static boolean isRight(LaunchTimer timer, double[] expected, WeightShape layer, int m, PlanOptions options) {
        DataType type = layer.computeType();
        double error = DemoLayer.relativeError(timer.product(m, options), type, expected, m * layer.n());
        return error <= SCATTER * ErrorBound.of(type, layer.form());      // NOTES: false for NaN
    }

    private static Tuning.Winner timed(LaunchTimer timer, int m, PlanOptions options, Set<String> notCaptured) {
        LaunchTimer.Timing timing = timer.time(m, options);
        if (!timing.notCaptured().isEmpty()) {
            notCaptured.add(text(options) + ": " + timing.notCaptured());
        }
        return new Tuning.Winner(options, timing.seconds());
    }

    /** How much faster the winner is than the planner's own choice. */
    String gain() {
        return predicted.isEmpty() ? "n/a" : Figures.format("%.2fx", predicted.get().seconds() / winner.get().seconds());
    }

    /** A way to run a product, for people. */
    static String text(PlanOptions options) {
        String tile = switch (options.family().orElseThrow()) {
            case STRIPED -> "striped " + options.tile().orElseThrow();
            case HOPPER -> "hopper " + options.hopperTile().orElseThrow();
            case DENSE -> "dense weights, cuBLAS";
        };
        String cut = options.cut().map(where -> switch (where) {
            case EVEN -> ", cut evenly";
            case WHOLE_STAGES -> ", cut in whole stages";
        }).orElse("");
        return tile + cut + (options.grid() > 0 ? ", " + options.grid() + " blocks" : "")
                + (options.stages() > 0 ? ", " + options.stages() + " stages" : "");
    }
}
