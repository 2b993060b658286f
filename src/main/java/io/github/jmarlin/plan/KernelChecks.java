package io.github.jmarlin.plan;

import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Which kernels gave the right answers on this machine: this GPU, this driver, these images. The planner chooses the Hopper family by
 * itself only where it passed, and nothing that failed, for each set of weights apart. Immutable and thread-safe; {@link CheckFile} keeps it.
 */
public final class KernelChecks {
    /** Nothing is known. */
    public static final KernelChecks NONE = new KernelChecks(Map.of(), "");

    /** What came out. */
    public enum Outcome {
        /** Every instance that a plan for this device can choose gave the right answers. */
        PASSED,
        /** One gave a wrong one, none at all, or an error. */
        FAILED,
        /** It could not be asked, or the time was up before all had answered. */
        UNCHECKED
    }

    /**
     * Of a family's kernels for a set of weights.
     *
     * @param outcome what came out
     * @param words how many instances, or which one did what; one line
     */
    public record Result(Outcome outcome, String words) {
        public Result {
            Objects.requireNonNull(outcome, "outcome");
            words = words.replaceAll("\\s+", " ").strip();
        }

        @Override
        public String toString() {
            return outcome.name().toLowerCase(Locale.ROOT) + ": " + words;
        }
    }

    private final Map<Kernels, Result> results;
    private final String note;

    private KernelChecks(Map<Kernels, Result> results, String note) {
        this.results = Collections.unmodifiableMap(results);
        this.note = note;
    }

    /** Nothing is known, for a reason that plans shall tell: a file of another driver, or one that cannot be read. */
    static KernelChecks ignored(String why) {
        return new KernelChecks(Map.of(), why);
    }

    /** As this, and what came out for some kernels; it replaces what was known of the same. */
    public KernelChecks with(Kernels kernels, Result result) {
        Map<Kernels, Result> more = new TreeMap<>(results);
        more.put(kernels, result);
        return new KernelChecks(more, "");
    }

    /** The same for a family's kernels for 4-bit integers. */
    public KernelChecks with(KernelFamily family, Result result) {
        return with(Kernels.of(family), result);
    }

    /** What came out, in order; kernels that are not there were not come to. */
    public Map<Kernels, Result> results() {
        return results;
    }

    /** Why nothing is known, if that has a reason; else empty. */
    public String note() {
        return note;
    }

    /** Whether nothing was asked. */
    public boolean isEmpty() {
        return results.isEmpty();
    }

    /** Whether some kernels passed. */
    public boolean passed(Kernels kernels) {
        return outcome(kernels) == Outcome.PASSED;
    }

    /** Whether a family's kernels for 4-bit integers passed. */
    public boolean passed(KernelFamily family) {
        return passed(Kernels.of(family));
    }

    /** What some kernels did wrong; empty if nothing, or if they were not asked. */
    public Optional<String> failure(Kernels kernels) {
        return outcome(kernels) == Outcome.FAILED ? Optional.of(results.get(kernels).words()) : Optional.empty();
    }

    /** What a family's kernels for 4-bit integers did wrong. */
    public Optional<String> failure(KernelFamily family) {
        return failure(Kernels.of(family));
    }

    private Outcome outcome(Kernels kernels) {
        return results.containsKey(kernels) ? results.get(kernels).outcome() : Outcome.UNCHECKED;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof KernelChecks checks && results.equals(checks.results) && note.equals(checks.note);
    }

    @Override
    public int hashCode() {
        return Objects.hash(results, note);
    }

    @Override
    public String toString() {
        return isEmpty() ? "not checked" + (note.isEmpty() ? "" : ": " + note) : results.toString();
    }
}
