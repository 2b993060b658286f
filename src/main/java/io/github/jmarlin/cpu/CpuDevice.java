package io.github.jmarlin.cpu;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveAction;
import java.util.function.IntConsumer;

/** The processor. Results do not depend on the number of threads. */
public final class CpuDevice implements ComputeDevice {
    /** The pool of this device, or null for the common pool, in which the calling thread works too. */
    private final ForkJoinPool pool;
    private final int threads;

    /** All processors, through the common pool. */
    public CpuDevice() {
        pool = null;
        threads = Math.max(1, ForkJoinPool.getCommonPoolParallelism() + 1);
    }

    /** @param threads of a pool of its own, at least 1; they end when idle */
    public CpuDevice(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads " + threads + " is below 1");
        }
        this.threads = threads;
        pool = new ForkJoinPool(threads);
    }

    @Override
    public String name() {
        return "CPU, " + threads + (threads == 1 ? " thread" : " threads");
    }

    @Override
    public String kind() {
        return "cpu";
    }

    /** The layer reads the packed weights in place; they cannot be closed before it. */
    @Override
    public LinearLayer place(PackedWeights weights) {
        return new CpuLinear(this, weights);
    }

    /** Runs task 0 to count - 1, in any order, and returns when all are done. */
    void forEach(int count, IntConsumer task) {
        if (count == 0) {
            return;
        }
        Range all = new Range(0, count, task);
        if (pool == null) {
            all.invoke();
        } else {
            pool.invoke(all);
        }
    }

    private static final class Range extends RecursiveAction {
        private static final long serialVersionUID = 1L;

        private final int begin;
        private final int end;
        private final transient IntConsumer task;

        Range(int begin, int end, IntConsumer task) {
            this.begin = begin;
            this.end = end;
            this.task = task;
        }

        @Override
        protected void compute() {
            if (end - begin == 1) {
                task.accept(begin);
                return;
            }
            int middle = begin + end >>> 1;
            invokeAll(new Range(begin, middle, task), new Range(middle, end, task));
        }
    }
}
