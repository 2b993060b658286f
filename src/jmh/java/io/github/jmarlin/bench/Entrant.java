package io.github.jmarlin.bench;

/**
 * A contender that is ready to be timed at one subject.
 *
 * @param contender its name
 * @param groupSize of its weights, 0 if they have none
 * @param bytes the least bytes of one product
 * @param flops of one product
 * @param error of its answer, or null if it gives none
 * @param errorBound what that may be
 * @param sampler takes one time, in microseconds for one product
 */
public record Entrant(String contender, int groupSize, double bytes, double flops, Double error, Double errorBound,
        Sampler sampler) {
    /** Takes one time. */
    @FunctionalInterface
    public interface Sampler {
        /** Microseconds of one product, launch or copy. */
        double sampleMicros();

        /** How many products one sample runs. */
        default int products() {
            return 1;
        }
    }

    /** Whether the answer is wrong. NaN is. */
    boolean isWrong() {
        return error != null && !(error <= errorBound);
    }

    /** The measurement for these times. */
    public Measurement measurement(Subject subject, TimingMode mode, Quantiles micros) {
        String note = isWrong() ? "relative error " + error + " is not at most " + errorBound : null;
        return new Measurement(subject, mode, contender, groupSize, isWrong() ? Measurement.Status.WRONG : Measurement.Status.OK,
                note, micros, bytes, flops, error, errorBound);
    }
}
