package io.github.jmarlin.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A session with an arena whose contenders are made up. */
class BenchRunTest {
    private static final BenchPlan PLAN = BenchPlan.of(new LayerShape("", 64, 64), new int[] {1, 2, 3}, DataType.FP32,
            List.of(TimingMode.HOST), List.of(64), false);

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final List<String> begun = new ArrayList<>();
    private long delayMillis;

    @TempDir
    private Path folder;

    @Test
    void whatDoesNotFitTheTimeIsSaidAndLeftForLater() throws IOException {
        delayMillis = 1100;
        assertEquals(BenchRun.OK, run(Duration.ofSeconds(1), false, 1e-7));
        assertEquals(1, begun.size(), "the first case took all the time");
        assertTrue(out.toString().contains("3 of 4 cases did not fit 1 s; the same command with --resume goes on."),
                out::toString);

        delayMillis = 0;
        assertEquals(BenchRun.OK, run(Duration.ofSeconds(30), true, 1e-7));
        assertEquals(List.of("device, host", "64x64, m 1, FP32, host", "64x64, m 2, FP32, host", "64x64, m 3, FP32, host"),
                begun);
        assertEquals(List.of(3, 0), Journal.read(folder).orElseThrow().sessions().stream().map(Session::unfinished).toList());
    }

    @Test
    void aWrongAnswerMakesTheRunFail() throws IOException {
        assertEquals(BenchRun.WRONG_ANSWER, run(Duration.ofSeconds(30), false, Double.NaN));
        assertTrue(out.toString().contains("relative error NaN is not at most 1.0E-6"), out::toString);
    }

    @Test
    void aFailureKeepsWhatWasMeasured() throws IOException {
        BenchRun run = new BenchRun(new BenchRun.Settings(folder, Duration.ofSeconds(30), false, "test"), new PrintStream(out));
        Arena failing = new MadeUp(1e-7) {
            @Override
            public Prepared prepare(BenchCase benchCase) {
                if (benchCase.subject().m() == 2) {
                    throw new IllegalStateException("cuLaunchKernel failed");
                }
                return super.prepare(benchCase);
            }
        };
        assertThrows(IllegalStateException.class, () -> run.run(failing, PLAN, progress()));
        assertEquals(List.of(0, 1), Journal.read(folder).orElseThrow().measurements().stream().map(m -> m.subject().m())
                .toList());
    }

    private int run(Duration budget, boolean resume, double error) throws IOException {
        return new BenchRun(new BenchRun.Settings(folder, budget, resume, "test"), new PrintStream(out))
                .run(new MadeUp(error), PLAN, progress());
    }

    private BenchRun.Progress progress() {
        return new BenchRun.Progress() {
            @Override
            public void begins(BenchCase benchCase, int index, int count, Duration left) {
                begun.add(benchCase.text());
                try {
                    Thread.sleep(delayMillis);
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            }

            @Override
            public void close() {
            }
        };
    }

    /** One contender that takes a millisecond and has a given error. */
    private static class MadeUp implements Arena {
        private final double error;

        MadeUp(double error) {
            this.error = error;
        }

        @Override
        public RunInfo info() {
            return SampleResults.run(true);
        }

        @Override
        public String state() {
            return "unknown";
        }

        @Override
        public Prepared prepare(BenchCase benchCase) {
            Entrant.Sampler sampler = () -> {
                long end = System.nanoTime() + 1_000_000;
                while (System.nanoTime() < end) {
                    Thread.onSpinWait();
                }
                return 1000;
            };
            return new Prepared(List.of(new Entrant(Contenders.CPU, 64, 1, 1, error, 1e-6, sampler)), List.of(), () -> { });
        }

        @Override
        public void close() {
        }
    }
}
