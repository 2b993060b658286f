package io.github.jmarlin.bench;

import io.github.jmarlin.bench.report.Report;
import io.github.jmarlin.bench.report.TextTable;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * One session of measuring: cases in order until the time is over, every measurement into the journal at once, at the end the
 * report of everything the folder holds.
 */
public final class BenchRun {
    /** All answers right. */
    public static final int OK = 0;
    /** At least one answer was wrong. */
    public static final int WRONG_ANSWER = 1;

    private final Settings settings;
    private final PrintStream out;

    /**
     * What the user asked for.
     *
     * @param folder for the results; made if it is not there
     * @param budget for measuring
     * @param resume whether to go on with what the folder holds
     * @param commandLine as typed, for the record
     */
    public record Settings(Path folder, Duration budget, boolean resume, String commandLine) {
    }

    /** What happens, as it happens. */
    public interface Progress {
        /**
         * A case begins.
         *
         * @param index from 0
         * @param count of cases in this session
         */
        void begins(BenchCase benchCase, int index, int count, Duration left);

        /** All cases are done or the time is over: the terminal belongs to the report now. */
        void close();
    }

    public BenchRun(Settings settings, PrintStream out) {
        this.settings = settings;
        this.out = out;
    }

    /**
     * Checks that results can be written, before anything takes time.
     *
     * @throws IOException naming the folder and what is wrong with it
     */
    public static void checkWritable(Path folder) throws IOException {
        try {
            Files.createDirectories(folder);
            Files.delete(Files.createTempFile(folder, "probe", ".tmp"));
        } catch (IOException e) {
            throw new IOException("results cannot be written to " + folder.toAbsolutePath() + ": " + e, e);
        }
    }

    /** Measures and reports; returns the exit code. */
    public int run(Arena arena, BenchPlan plan, Progress progress) throws IOException {
        checkWritable(settings.folder());
        TimeBudget budget = new TimeBudget(settings.budget());
        Instant started = Instant.now();
        String before = arena.state();
        try (Journal journal = settings.resume() ? Journal.resume(settings.folder(), arena.info())
                : Journal.start(settings.folder(), arena.info())) {
            List<BenchCase> todo = new ArrayList<>(plan.cases());
            Set<String> done = new HashSet<>(Journal.finishedCases(settings.folder()));
            todo.removeIf(c -> done.contains(c.key()));
            int unfinished;
            try {
                unfinished = measure(arena, todo, journal, budget, progress);
            } catch (RuntimeException e) {
                reportAfter(e);
                throw e;
            }
            journal.add(new Session(started.truncatedTo(ChronoUnit.SECONDS).toString(), budget.spent().toMillis() / 1000.0,
                    settings.commandLine(), before, arena.state(), unfinished));
            if (unfinished > 0) {
                out.println(unfinished + " of " + plan.cases().size() + " cases did not fit " + settings.budget().toSeconds()
                        + " s; the same command with --resume goes on.");
            }
        }
        return report(settings.folder(), out);
    }

    /** What was measured before a failure is reported like the rest. */
    private void reportAfter(RuntimeException failure) {
        try {
            report(settings.folder(), out);
        } catch (IOException | RuntimeException e) {
            failure.addSuppressed(e);
        }
    }

    /** Writes the report of what a folder's journal holds; returns the exit code. */
    public static int report(Path folder, PrintStream out) throws IOException {
        Results results = Journal.read(folder).orElseThrow(() -> new IOException("no results: there is no " + Journal.FILE
                + " in " + folder));
        String charts = Report.write(results, folder);
        out.print(TextTable.of(results));
        out.println(charts);
        out.println("Results in " + folder.resolve(ResultsFiles.JSON) + ", " + ResultsFiles.CSV + " and " + Report.PAGE);
        return results.hasWrongAnswers() ? WRONG_ANSWER : OK;
    }

    private int measure(Arena arena, List<BenchCase> todo, Journal journal, TimeBudget budget,
            Progress progress) throws IOException {
        int index = 0;
        try {
            while (index < todo.size() && !budget.isSpent()) {
                BenchCase next = todo.get(index);
                progress.begins(next, index, todo.size(), budget.left());
                for (Measurement measurement : arena.run(next, timingShare(budget, todo.size() - index))) {
                    journal.add(measurement);
                }
                journal.finished(next);
                index++;
            }
        } finally {
            progress.close();
        }
        return todo.size() - index;
    }

    /** Half of a case's time; making operands and checking answers takes the other half. */
    private static Duration timingShare(TimeBudget budget, int cases) {
        Duration share = budget.share(cases).dividedBy(2);
        Duration most = Duration.ofSeconds(3);
        return share.compareTo(most) > 0 ? most : share;
    }
}
