package io.github.jmarlin.cli;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Times a call until the median is worth printing. */
final class Stopwatch {
    private static final int LEAST_RUNS = 5;
    private static final int MOST_RUNS = 200;
    private static final double WARM_UP_SECONDS = 1.0;
    private static final double SECONDS = 1.0;

    private Stopwatch() {
    }

    /** Median seconds of one call, after a warm-up. */
    static double median(Runnable call) {
        run(call, WARM_UP_SECONDS, 1);
        List<Double> seconds = run(call, SECONDS, LEAST_RUNS);
        Collections.sort(seconds);
        return seconds.get(seconds.size() / 2);
    }

    private static List<Double> run(Runnable call, double enough, int least) {
        List<Double> seconds = new ArrayList<>();
        long start = System.nanoTime();
        while (seconds.size() < least || secondsSince(start) < enough && seconds.size() < MOST_RUNS) {
            long before = System.nanoTime();
            call.run();
            seconds.add(secondsSince(before));
        }
        return seconds;
    }

    static double secondsSince(long nanoTime) {
        return (System.nanoTime() - nanoTime) * 1e-9;
    }
}
