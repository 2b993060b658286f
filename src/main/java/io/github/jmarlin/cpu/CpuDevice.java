package io.github.jmarlin.cpu;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.function.IntConsumer;

/**
 * The processor, through native kernels where there are some for it, else in Java; {@code -Djmarlin.cpu=java|avx2|vnni|amx|neon} forces
 * one. Results do not depend on the number of threads, and among native kernels not on the instruction set or the batch.
 *
 * <p>Its threads are daemons, start with the first product and end some seconds after the last or with {@link #close}; a product
 * after that is computed by its caller alone.
 */
public final class CpuDevice implements ComputeDevice, AutoCloseable {
    private final TaskPool pool;
    private final InstructionSet.Choice choice;
    /** Memory for calls of native products, as many as ever ran at once. */
    private final ConcurrentLinkedQueue<NativeCall> calls = new ConcurrentLinkedQueue<>();

    /** All processors that this process may use: containers limit them. */
    public CpuDevice() {
        this(Runtime.getRuntime().availableProcessors());
    }

    /** @param threads that work on a product, its caller among them, at least 1 */
    public CpuDevice(int threads) {
        this(threads, null, InstructionSet.best());
    }

    /**
     * The threads of an executor instead of its own.
     *
     * @param threads that work on a product at most, its caller among them, at least 1
     * @param executor gets up to {@code threads - 1} tasks per product; what it does not run the caller does. It is not closed
     */
    public CpuDevice(int threads, Executor executor) {
        this(threads, Objects.requireNonNull(executor, "executor"), InstructionSet.best());
    }

    private CpuDevice(int threads, Executor executor, InstructionSet.Choice choice) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads " + threads + " is below 1");
        }
        pool = new TaskPool(threads, executor);
        this.choice = choice;
    }

    /** For tests: one of the {@linkplain InstructionSet#available available} instruction sets. */
    static CpuDevice of(int threads, InstructionSet set) {
        return new CpuDevice(threads, null, new InstructionSet.Choice(set, "asked for"));
    }

    @Override
    public String name() {
        return "CPU, " + pool.threads() + (pool.threads() == 1 ? " thread" : " threads");
    }

    @Override
    public String kind() {
        return "cpu";
    }

    /** Threads that work on a product at most. */
    public int threads() {
        return pool.threads();
    }

    /** What products are computed with, and why if it is not simply the fastest: {@code AVX-512 VNNI}, {@code Java (reason)}. */
    public String computesWith() {
        return choice.set().title() + (choice.why().isEmpty() ? "" : " (" + choice.why() + ")");
    }

    /** The layer reads the packed weights in place; they cannot be closed before it. */
    @Override
    public LinearLayer place(PackedWeights weights) {
        return new CpuLinear(this, weights);
    }

    /**
     * Runs task 0 to {@code count - 1} on the threads of the products, in any order, for what an engine computes between two products.
     * Returns, or throws the first failure, when none runs any more.
     */
    public void forEach(int count, IntConsumer task) {
        pool.forEach(count, task);
    }

    /** Ends the threads. Layers stay usable. */
    @Override
    public void close() {
        pool.close();
        for (NativeCall call = calls.poll(); call != null; call = calls.poll()) {
            call.close();
        }
    }

    TaskPool pool() {
        return pool;
    }

    InstructionSet instructionSet() {
        return choice.set();
    }

    NativeCall takeCall() {
        NativeCall call = calls.poll();
        return call == null ? new NativeCall() : call;
    }

    void giveBack(NativeCall call) {
        calls.add(call);
    }
}
