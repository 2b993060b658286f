package io.github.jmarlin.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.stream.IntStream;

/** How fast all threads together read memory that no cache holds. */
final class ReadBandwidth {
    /** More than the last-level caches of the processors that this runs on. */
    private static final int BYTES = 256 << 20;
    private static final int LINE_LONGS = 64 / Long.BYTES;
    private static final int RUNS = 7;

    /** What was read must count for something, or it is not read. */
    private static volatile long sink;

    private ReadBandwidth() {
    }

    /** Bytes per second, the best of some runs: what disturbs only slows down. */
    static double measure(int threads) {
        LongBuffer memory = ByteBuffer.allocateDirect(BYTES).order(ByteOrder.nativeOrder()).asLongBuffer();
        int part = memory.capacity() / threads / (4 * LINE_LONGS) * (4 * LINE_LONGS);
        double best = Double.POSITIVE_INFINITY;
        for (int run = 0; run < RUNS; run++) {
            long start = System.nanoTime();
            sink = IntStream.range(0, threads).parallel().mapToLong(i -> sum(memory, i * part, (i + 1) * part)).sum();
            best = Math.min(best, Stopwatch.secondsSince(start));
        }
        return (double) part * threads * Long.BYTES / best;
    }

    /** A number of each line makes the processor fetch the line; four sums keep it from waiting for the addition. */
    private static long sum(LongBuffer memory, int begin, int end) {
        long a = 0;
        long b = 0;
        long c = 0;
        long d = 0;
        for (int i = begin; i < end; i += 4 * LINE_LONGS) {
            a += memory.get(i);
            b += memory.get(i + LINE_LONGS);
            c += memory.get(i + 2 * LINE_LONGS);
            d += memory.get(i + 3 * LINE_LONGS);
        }
        return a + b + c + d;
    }
}
