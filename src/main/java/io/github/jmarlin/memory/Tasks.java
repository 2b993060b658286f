package io.github.jmarlin.memory;

import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Work on native memory, on all processors. */
public final class Tasks {
    private Tasks() {
    }

    /**
     * Runs tasks 0 to {@code count - 1}, in any order. Returns, or throws the first failure, when none runs any more: the memory may
     * be freed then. NOTES: a parallel stream throws while other tasks still write.
     */
    public static void forEach(int count, IntConsumer task) {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        IntStream.range(0, count).parallel().forEach(i -> {
            if (failure.get() == null) {
                try {
                    task.accept(i);
                } catch (RuntimeException | Error e) {
                    failure.compareAndSet(null, e);
                }
            }
        });
        if (failure.get() instanceof RuntimeException e) {
            throw e;
        } else if (failure.get() instanceof Error e) {
            throw e;
        }
    }
}
