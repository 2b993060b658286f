package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.container.ConfigNode;

/**
 * Rotary position embedding: element i of the first half of a head and element i of its second half are a pair, which position p turns
 * by the angle {@code p * frequencies[i]}. The formulas, and the roundings to fp32, are those of the transformers library
 * (modeling_rope_utils.py), which defines what config.json means.
 *
 * @param frequencies radians per position, {@code [head size / 2]}; not to be written to
 */
public record Rotary(float[] frequencies) {
    private static final String ACCEPTED = "\"default\", \"linear\" or \"llama3\"";

    /**
     * Reads {@code rope_parameters} (transformers 5), or {@code rope_theta} and {@code rope_scaling}.
     *
     * @throws io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException if it names another kind of scaling
     */
    static Rotary of(ConfigNode config, int headSize) {
        ConfigNode scaling = config.firstOf("rope_parameters", "rope_scaling");
        boolean scaled = !scaling.isNull();
        double theta = Numbers.positive(scaled && !scaling.get("rope_theta").isNull() ? scaling.get("rope_theta")
                : config.get("rope_theta"), 10_000);
        for (ConfigNode section : scaled ? new ConfigNode[] {config, scaling} : new ConfigNode[] {config}) {
            ConfigNode partial = section.get("partial_rotary_factor");
            if (Numbers.positive(partial, 1) != 1) {
                throw partial.unsupported("1: all of a head is turned");
            }
        }
        double[] frequencies = new double[headSize / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = Math.pow(theta, -2.0 * i / headSize);
        }
        ConfigNode kind = scaled ? scaling.firstOf("rope_type", "type") : null;
        switch (kind == null ? "default" : kind.string("default")) {
            case "default" -> { }
            case "linear" -> divide(frequencies, Numbers.positive(scaling.get("factor")));
            case "llama3" -> llama3(frequencies, scaling);
            default -> throw kind.unsupported(ACCEPTED);
        }
        float[] rounded = new float[frequencies.length];
        for (int i = 0; i < rounded.length; i++) {
            rounded[i] = (float) frequencies[i];
        }
        return new Rotary(rounded);
    }

    private static void divide(double[] frequencies, double factor) {
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] /= factor;
        }
    }

    /** Long waves are stretched by the factor, short ones left alone, those between a mixture of both. */
    private static void llama3(double[] frequencies, ConfigNode scaling) {
        double factor = Numbers.positive(scaling.get("factor"));
        double low = Numbers.positive(scaling.get("low_freq_factor"));
        double high = Numbers.positive(scaling.get("high_freq_factor"));
        double trained = Numbers.positive(scaling.get("original_max_position_embeddings"));
        if (high <= low) {
            throw scaling.get("high_freq_factor").malformed("must be above low_freq_factor " + low);
        }
        for (int i = 0; i < frequencies.length; i++) {
            double wavesInTraining = trained * frequencies[i] / (2 * Math.PI);
            double share = Math.min(1, Math.max(0, (wavesInTraining - low) / (high - low)));
            frequencies[i] = (1 - share) * frequencies[i] / factor + share * frequencies[i];
        }
    }

    /** Writes the cosines and sines of a position's angles to {@code [at, at + head size / 2)} of both arrays. */
    void at(int position, float[] cosines, float[] sines, int at) {
        for (int i = 0; i < frequencies.length; i++) {
            float angle = position * frequencies[i];
            cosines[at + i] = (float) Math.cos(angle);
            sines[at + i] = (float) Math.sin(angle);
        }
    }
}
