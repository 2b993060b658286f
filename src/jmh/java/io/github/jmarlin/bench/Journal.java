package io.github.jmarlin.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * The measurements of a run as they are made, a line each in {@code journal.jsonl}: what survives an interruption, and what
 * {@code --resume} goes on from. A last line that was cut off is ignored.
 */
public final class Journal implements AutoCloseable {
    /** Name of the file in a results folder. */
    public static final String FILE = "journal.jsonl";

    private final BufferedWriter out;

    /** One line; exactly one of its parts is there. */
    private record Entry(RunInfo run, Session session, Measurement measurement, String finished) {
    }

    private Journal(BufferedWriter out) {
        this.out = out;
    }

    /** Starts a journal, replacing an earlier one. */
    public static Journal start(Path folder, RunInfo run) throws IOException {
        Journal journal = new Journal(Files.newBufferedWriter(folder.resolve(FILE)));
        journal.add(new Entry(run, null, null, null));
        return journal;
    }

    /**
     * Goes on with a journal.
     *
     * @throws IOException if it is from another device or commit, whose times must not be mixed with these
     */
    public static Journal resume(Path folder, RunInfo run) throws IOException {
        RunInfo before = read(folder).orElseThrow(() -> new IOException("nothing to resume: there is no " + FILE + " in "
                + folder)).run();
        if (!before.device().equals(run.device()) || !before.commit().equals(run.commit())) {
            throw new IOException("the results in " + folder + " are of " + before.device() + " and commit " + before.commit()
                    + ", this is " + run.device() + " and commit " + run.commit() + ": use another folder");
        }
        Path file = folder.resolve(FILE);
        String text = Files.readString(file);
        if (!text.endsWith("\n")) {
            Files.writeString(file, text.substring(0, text.lastIndexOf('\n') + 1));
        }
        return new Journal(Files.newBufferedWriter(file, StandardOpenOption.APPEND));
    }

    /** What a folder's journal holds; nothing if there is none. */
    public static Optional<Results> read(Path folder) throws IOException {
        Path file = folder.resolve(FILE);
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        RunInfo run = null;
        List<Session> sessions = new ArrayList<>();
        List<Measurement> measurements = new ArrayList<>();
        for (Entry entry : entries(file)) {
            if (entry.run() != null) {
                run = entry.run();
            } else if (entry.session() != null) {
                sessions.add(entry.session());
            } else if (entry.measurement() != null) {
                measurements.add(entry.measurement());
            }
        }
        return run == null ? Optional.empty() : Optional.of(new Results(run, sessions, measurements));
    }

    /** Keys of the cases that a folder's journal has all measurements of. */
    static List<String> finishedCases(Path folder) throws IOException {
        return entries(folder.resolve(FILE)).stream().map(Entry::finished).filter(Objects::nonNull).toList();
    }

    private static List<Entry> entries(Path file) throws IOException {
        String text = Files.readString(file);
        List<String> lines = text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
        List<Entry> entries = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            entries.add(parse(file, i, lines.get(i)));
        }
        return entries;
    }

    private static Entry parse(Path file, int index, String line) throws IOException {
        try {
            return ResultsFiles.MAPPER.readValue(line, Entry.class);
        } catch (JsonProcessingException e) {
            throw new IOException(file + ", line " + (index + 1) + " is not a journal entry: " + e.getOriginalMessage(), e);
        }
    }

    /** Adds a measurement; it is in the file when this returns. */
    public void add(Measurement measurement) throws IOException {
        add(new Entry(null, null, measurement, null));
    }

    /** Adds the summary of a session. */
    public void add(Session session) throws IOException {
        add(new Entry(null, session, null, null));
    }

    /** Notes that a case has all its measurements. */
    public void finished(BenchCase benchCase) throws IOException {
        add(new Entry(null, null, null, benchCase.key()));
    }

    private void add(Entry entry) throws IOException {
        out.write(ResultsFiles.MAPPER.writeValueAsString(entry) + "\n");
        out.flush();
    }

    @Override
    public void close() throws IOException {
        out.close();
    }
}
