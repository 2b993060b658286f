package io.github.jmarlin.cpu;

import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * Threads for products that take a millisecond: they spin for some tens of microseconds after a job before they park, so that the
 * next layer of a chain finds them awake. Waking a parked thread can take longer than its share of a product.
 *
 * <p>The calling thread works too, and finishes its job alone if nobody comes; several callers share the threads. Threads are
 * daemons, start with the first job that needs them, and end after some seconds without one or when the pool is closed.
 */
final class TaskPool implements AutoCloseable {
    private static final long SPIN_NANOS = 50_000;
    private static final long KEEP_ALIVE_NANOS = 10_000_000_000L;
    private static final AtomicInteger NAMES = new AtomicInteger();

    private final int threads;
    /** What runs the helpers instead of threads of our own, or null. */
    private final Executor executor;
    private final Queue<Job> jobs = new ConcurrentLinkedQueue<>();
    private final Object lock = new Object();
    /** Replaced under the lock, never changed. */
    private volatile Worker[] workers = {};
    private volatile boolean closed;

    /**
     * @param threads that work on a job at most, the caller among them
     * @param executor to run the others, or null for threads of this pool
     */
    TaskPool(int threads, Executor executor) {
        this.threads = threads;
        this.executor = executor;
    }

    int threads() {
        return threads;
    }

    /** Runs task 0 to {@code count - 1}, in any order. Returns, or throws the first failure, when none runs any more. */
    void forEach(int count, IntConsumer task) {
        Job job = new Job(count, task);
        int helpers = Math.min(threads, count) - 1;
        if (helpers > 0) {
            if (executor == null) {
                jobs.add(job);
                wake(helpers);
            } else {
                submit(job, helpers);
            }
        }
        job.work();
        jobs.remove(job);
        job.await();
    }

    private void submit(Job job, int helpers) {
        try {
            for (int i = 0; i < helpers; i++) {
                executor.execute(job::work);
            }
        } catch (RejectedExecutionException e) {
            // The caller does what is left: a full or closed executor makes the product slow, not wrong.
        }
    }

    private void wake(int helpers) {
        if (workers.length < threads - 1 && !closed) {
            start();
        }
        int woken = 0;
        for (Worker worker : workers) {
            if (woken++ == helpers) {
                return;
            }
            worker.wake();
        }
    }

    private void start() {
        synchronized (lock) {
            Worker[] now = new Worker[threads - 1];
            System.arraycopy(workers, 0, now, 0, workers.length);
            for (int i = workers.length; i < now.length && !closed; i++) {
                now[i] = new Worker();
                now[i].start();
            }
            if (!closed) {
                workers = now;
            }
        }
    }

    /** Takes a thread out of the pool unless there is work. */
    private boolean leave(Worker worker) {
        synchronized (lock) {
            if (!jobs.isEmpty()) {
                return false;
            }
            workers = Arrays.stream(workers).filter(other -> other != worker).toArray(Worker[]::new);
            return true;
        }
    }

    /** Ends the threads. A job that still comes is done by its caller alone. */
    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
            for (Worker worker : workers) {
                LockSupport.unpark(worker);
            }
            workers = new Worker[0];
        }
    }

    private final class Worker extends Thread {
        private volatile boolean parked;

        Worker() {
            super("jmarlin-cpu-" + NAMES.incrementAndGet());
            setDaemon(true);
        }

        void wake() {
            if (parked) {
                parked = false;
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            long idleSince = System.nanoTime();
            while (!closed) {
                Job job = jobs.peek();
                if (job != null) {
                    job.work();
                    jobs.remove(job);
                    idleSince = System.nanoTime();
                    continue;
                }
                long idle = System.nanoTime() - idleSince;
                if (idle < SPIN_NANOS) {
                    Thread.onSpinWait();
                    continue;
                }
                if (idle > KEEP_ALIVE_NANOS && leave(this)) {
                    return;
                }
                parked = true;
                // A job may have come between the look and the flag, whose caller then saw nobody parked.
                if (jobs.isEmpty() && !closed) {
                    LockSupport.parkNanos(this, KEEP_ALIVE_NANOS);
                }
                parked = false;
            }
        }
    }

    /** Tasks that threads take one by one. */
    private static final class Job {
        private final int count;
        private final IntConsumer task;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger unfinished;
        private final Thread caller = Thread.currentThread();
        private volatile Throwable failure;

        Job(int count, IntConsumer task) {
            this.count = count;
            this.task = task;
            unfinished = new AtomicInteger(count);
        }

        /** Works until no task is left to begin. */
        void work() {
            int done = 0;
            for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                try {
                    if (failure == null) {
                        task.accept(i);
                    }
                } catch (Throwable e) {
                    failure = e;
                }
                done++;
            }
            if (done > 0 && unfinished.addAndGet(-done) == 0 && Thread.currentThread() != caller) {
                LockSupport.unpark(caller);
            }
        }

        /** Waits for the tasks that others have begun, and throws what one of them threw. */
        void await() {
            boolean interrupted = false;
            long start = System.nanoTime();
            while (unfinished.get() > 0) {
                if (System.nanoTime() - start < SPIN_NANOS) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.park(this);
                    interrupted |= Thread.interrupted();
                }
            }
            if (interrupted) {
                caller.interrupt();
            }
            if (failure instanceof Error e) {
                throw e;
            } else if (failure instanceof RuntimeException e) {
                throw e;
            }
        }
    }
}
