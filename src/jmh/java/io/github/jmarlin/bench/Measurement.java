package io.github.jmarlin.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;

/**
 * What was seen for one contender; everything else in a report is derived from these.
 *
 * @param subject what was timed
 * @param mode what the times contain
 * @param contender who did it; see {@link Contenders}
 * @param groupSize of the weights, 0 if the contender's have none
 * @param status whether there is a time, and whether it counts
 * @param note why there is none, or what to know about it; null if nothing
 * @param micros microseconds of one product, block, copy or launch; null if skipped
 * @param bytes the least bytes to move: weights, scales, activations and outputs once each
 * @param flops multiplications and additions
 * @param error relative Frobenius error against fp64, null if there is no answer to check
 * @param errorBound what the error may be, null likewise
 */
public record Measurement(Subject subject, TimingMode mode, String contender, int groupSize, Status status, String note,
        Quantiles micros, double bytes, double flops, Double error, Double errorBound) {
    /** How a measurement ended. */
    public enum Status {
        /** Timed, and the answer (if there is one) is right. */
        OK,
        /** The answer is wrong; the time is kept but nothing is derived from it. */
        WRONG,
        /** Not run, for instance for lack of memory. */
        SKIPPED
    }

    /** A contender that did not run. */
    public static Measurement skipped(Subject subject, TimingMode mode, String contender, int groupSize, String why) {
        return new Measurement(subject, mode, contender, groupSize, Status.SKIPPED, why, null, 0, 0, null, null);
    }

    /** Equal for measurements of the same thing: a repeated one replaces the earlier. */
    @JsonIgnore
    public String key() {
        return subject.key() + " " + mode.key() + " " + contender + " g" + groupSize;
    }

    /** Whether figures may be derived from the time. */
    @JsonIgnore
    public boolean counts() {
        return status == Status.OK && micros != null;
    }
}
