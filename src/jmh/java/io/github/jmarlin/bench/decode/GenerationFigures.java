package io.github.jmarlin.bench.decode;

/**
 * Tokens per second of one model in one form at one batch size.
 *
 * @param model its name
 * @param weights {@code 4-bit} or {@code dense}
 * @param batch sequences that are decoded together
 * @param decodeTokensPerSecond of all of them together, at the first positions; 0 if skipped
 * @param prefillTokensPerSecond of one prompt of {@link GenerationBench#PROMPT} tokens; the same for each batch size
 * @param blocks that were measured
 * @param allBlocks of the whole model: if more, the figures are extrapolated
 * @param headShare of the vocabulary's rows that were measured: if below 1, the figures are extrapolated
 * @param error of the logits relative to those of the same weights in the dense form; NaN where there are none
 * @param note why it was skipped, or null
 */
public record GenerationFigures(String model, String weights, int batch, double decodeTokensPerSecond, double prefillTokensPerSecond,
        int blocks, int allBlocks, double headShare, double error, String note) {
    /** Whether the two forms disagree more than rounding explains. */
    public boolean isWrong() {
        return !Double.isNaN(error) && !(error <= GenerationBench.LARGEST_ERROR);
    }

    /** Whether the whole model was not measured. */
    public boolean isExtrapolated() {
        return blocks < allBlocks || headShare < 1;
    }
}
