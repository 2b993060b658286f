package io.github.jmarlin.plan;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * Which kernel families gave the right answers on this machine: this GPU, this driver, these images. The planner chooses the Hopper
 * family by itself only where it passed, and nothing that failed. Immutable and thread-safe; {@link CheckFile} keeps it.
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
     * Of one family.
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

    private final Map<KernelFamily, Result> results;
    private final String note;

    private KernelChecks(Map<KernelFamily, Result> results, String note) {
        this.results = Collections.unmodifiableMap(results);
        this.note = note;
    }

    /** Nothing is known, for a reason that plans shall tell: a file of another driver, or one that cannot be read. */
    static KernelChecks ignored(String why) {
        return new KernelChecks(Map.of(), why);
    }

    /** As this, and what came out for one family; it replaces what was known of the same. */
    public KernelChecks with(KernelFamily family, Result result) {
        Map<KernelFamily, Result> more = new EnumMap<>(KernelFamily.class);
        more.putAll(results);
        more.put(family, result);
        return new KernelChecks(more, "");
    }

    /** What came out, by family. */
    public Map<KernelFamily, Result> results() {
        return results;
    }

    /** Why nothing is known, if that has a reason; else empty. */
    public String note() {
        return note;
    }

    /** Whether no family was asked. */
    public boolean isEmpty() {
        return results.isEmpty();
    }

    /** Whether a family passed. */
    public boolean passed(KernelFamily family) {
        return outcome(family) == Outcome.PASSED;
    }

    /** What a family did wrong; empty if nothing, or if it was not asked. */
    public Optional<String> failure(KernelFamily family) {
        return outcome(family) == Outcome.FAILED ? Optional.of(results.get(family).words()) : Optional.empty();
    }

    private Outcome outcome(KernelFamily family) {
        return results.containsKey(family) ? results.get(family).outcome() : Outcome.UNCHECKED;
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
