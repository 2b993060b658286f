package io.github.jmarlin.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class TasksTest {
    @Test
    void everyTaskRunsOnce() {
        AtomicInteger[] runs = new AtomicInteger[100];
        for (int i = 0; i < 100; i++) {
            runs[i] = new AtomicInteger();
        }
        Tasks.forEach(100, i -> runs[i].incrementAndGet());
        for (AtomicInteger count : runs) {
            assertEquals(1, count.get());
        }
        Tasks.forEach(0, i -> {
            throw new IllegalStateException("no task expected");
        });
    }

    /** One fails while another runs: that one has ended when the failure is thrown. */
    @Test
    void aFailureWaitsForTheOthers() throws Exception {
        CountDownLatch bothRun = new CountDownLatch(2);
        AtomicInteger running = new AtomicInteger();
        AtomicReference<RuntimeException> thrown = new AtomicReference<>();
        ForkJoinPool pool = new ForkJoinPool(2);
        try {
            pool.submit(() -> {
                RuntimeException failure = assertThrows(IllegalStateException.class, () -> Tasks.forEach(2, i -> {
                    running.incrementAndGet();
                    try {
                        bothRun.countDown();
                        await(bothRun);
                        if (thrown.compareAndSet(null, new IllegalStateException("first"))) {
                            throw thrown.get();
                        }
                        Thread.sleep(200);
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    } finally {
                        running.decrementAndGet();
                    }
                }));
                assertEquals(0, running.get(), "tasks still run");
                assertSame(thrown.get(), failure);
            }).get(30, TimeUnit.SECONDS);
        } finally {
            pool.shutdown();
        }
    }

    private static void await(CountDownLatch latch) throws InterruptedException {
        if (!latch.await(10, TimeUnit.SECONDS)) {
            throw new AssertionError("the other task did not begin");
        }
    }
}
