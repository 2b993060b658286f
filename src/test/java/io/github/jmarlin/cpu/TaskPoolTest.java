package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TaskPoolTest {
    /** Two tasks that wait for each other: they pass only if two threads run them. Parked threads are woken by the second round. */
    @Test
    void threadsWorkSideBySideAndWakeUpAgain() throws InterruptedException {
        try (TaskPool pool = new TaskPool(2, null)) {
            for (int round = 0; round < 3; round++) {
                CountDownLatch both = new CountDownLatch(2);
                pool.forEach(2, i -> meet(both));
                assertEquals(0, both.getCount());
                Thread.sleep(20);
            }
        }
    }

    @Test
    void everyTaskRunsOnceWhateverTheNumberOfThreads() {
        for (int threads = 1; threads <= 8; threads++) {
            try (TaskPool pool = new TaskPool(threads, null)) {
                for (int count : new int[] {0, 1, 2, 7, 1000}) {
                    AtomicIntegerArray runs = new AtomicIntegerArray(count);
                    pool.forEach(count, runs::incrementAndGet);
                    for (int i = 0; i < count; i++) {
                        assertEquals(1, runs.get(i), "task " + i + " of " + count + ", " + threads + " threads");
                    }
                }
            }
        }
    }

    @Test
    void callersShareThePool() throws Exception {
        try (TaskPool pool = new TaskPool(3, null)) {
            AtomicInteger runs = new AtomicInteger();
            Thread[] callers = new Thread[4];
            for (int i = 0; i < callers.length; i++) {
                callers[i] = new Thread(() -> {
                    for (int call = 0; call < 200; call++) {
                        pool.forEach(9, task -> runs.incrementAndGet());
                    }
                });
                callers[i].start();
            }
            for (Thread caller : callers) {
                caller.join();
            }
            assertEquals(4 * 200 * 9, runs.get());
        }
    }

    @Test
    void aFailureReachesTheCallerWhenNothingRunsAnyMore() {
        try (TaskPool pool = new TaskPool(3, null)) {
            IllegalStateException failure = new IllegalStateException("task 5");
            AtomicInteger running = new AtomicInteger();
            assertSame(failure, assertThrows(IllegalStateException.class, () -> pool.forEach(50, i -> {
                running.incrementAndGet();
                try {
                    if (i == 5) {
                        throw failure;
                    }
                } finally {
                    running.decrementAndGet();
                }
            })));
            assertEquals(0, running.get());
        }
    }

    @Test
    void anInterruptedCallerStaysInterruptedAndGetsItsResult() {
        try (TaskPool pool = new TaskPool(2, null)) {
            AtomicInteger runs = new AtomicInteger();
            Thread.currentThread().interrupt();
            pool.forEach(100, i -> runs.incrementAndGet());
            assertTrue(Thread.interrupted());
            assertEquals(100, runs.get());
        }
    }

    @Test
    void threadsAreDaemonsAndEndWithThePool() throws InterruptedException {
        Set<Thread> threads = ConcurrentHashMap.newKeySet();
        TaskPool pool = new TaskPool(2, null);
        CountDownLatch both = new CountDownLatch(2);
        pool.forEach(2, i -> {
            threads.add(Thread.currentThread());
            meet(both);
        });
        threads.remove(Thread.currentThread());
        Thread worker = threads.iterator().next();
        assertTrue(worker.isDaemon());
        pool.close();
        worker.join(TimeUnit.SECONDS.toMillis(30));
        assertEquals(Thread.State.TERMINATED, worker.getState());
        AtomicInteger runs = new AtomicInteger();
        pool.forEach(5, i -> runs.incrementAndGet());
        assertEquals(5, runs.get(), "after close the caller works alone");
    }

    @Test
    void aGivenExecutorRunsTheTasks() {
        ExecutorService executor = Executors.newSingleThreadExecutor(work -> new Thread(work, "given"));
        try (TaskPool pool = new TaskPool(2, executor)) {
            Set<String> names = ConcurrentHashMap.newKeySet();
            CountDownLatch both = new CountDownLatch(2);
            pool.forEach(2, i -> {
                names.add(Thread.currentThread().getName());
                meet(both);
            });
            assertEquals(Set.of("given", Thread.currentThread().getName()), names);
            executor.shutdown();
            AtomicInteger runs = new AtomicInteger();
            pool.forEach(9, i -> runs.incrementAndGet());
            assertEquals(9, runs.get(), "a closed executor leaves the caller");
        } finally {
            executor.shutdownNow();
        }
    }

    private static void meet(CountDownLatch all) {
        all.countDown();
        try {
            if (!all.await(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the other thread did not come");
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
