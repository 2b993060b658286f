package io.github.jmarlin.llama;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Continues prompts: all of their tokens in steps of many rows, then a row for each in every step, until a token ends the sequence or
 * there are enough. A prompt's tokens do not depend on its neighbours.
 */
public final class Generation {
    private final Decoder decoder;
    private final Settings settings;
    private final Listener listener;

    /**
     * How to continue.
     *
     * @param maxTokens the most new tokens of a prompt, at least 1; the one that ends it counts
     * @param temperature see {@link Sampler}
     * @param topP see {@link Sampler}
     * @param seed of each prompt's draws
     */
    public record Settings(int maxTokens, double temperature, double topP, long seed) {
        /** Checks the values. */
        public Settings {
            if (maxTokens < 1) {
                throw new IllegalArgumentException("max tokens " + maxTokens + ": must be at least 1");
            }
            new Sampler(temperature, topP, seed);
        }
    }

    /** Told every new token as soon as it is there. */
    public interface Listener {
        void token(int prompt, int token);
    }

    /**
     * What came out.
     *
     * @param tokens the new ones of each prompt; the last one may be one that ends a sequence
     * @param prefillTokens tokens of the prompts
     * @param decodeTokens new tokens that a decode step made: all but each prompt's first
     * @param decodeSteps steps that they took
     */
    public record Result(List<List<Integer>> tokens, long prefillTokens, double prefillSeconds, long decodeTokens, int decodeSteps,
            double decodeSeconds) {
    }

    /** @param listener may be told from the calling thread only */
    public Generation(Decoder decoder, Settings settings, Listener listener) {
        this.decoder = decoder;
        this.settings = settings;
        this.listener = listener;
    }

    /**
     * The positions that a decoder needs for prompts.
     *
     * @throws IllegalArgumentException if a prompt is empty, has a token that the model does not know, or needs more positions than it has
     */
    public static int positions(LlamaConfig config, List<int[]> prompts, int maxTokens) {
        long most = 0;
        for (int i = 0; i < prompts.size(); i++) {
            int[] prompt = prompts.get(i);
            String which = prompts.size() == 1 ? "the prompt" : "prompt " + (i + 1);
            if (prompt.length == 0) {
                throw new IllegalArgumentException(which + " has no tokens: at least one is needed to begin with");
            }
            for (int token : prompt) {
                if (token < 0 || token >= config.vocabulary()) {
                    throw new IllegalArgumentException(which + " has token " + token + ", and this model knows 0.."
                            + (config.vocabulary() - 1));
                }
            }
            // The last new token is never put in.
            long positions = prompt.length + (long) maxTokens - 1;
            if (positions > config.positions()) {
                throw new IllegalArgumentException(which + " of " + prompt.length + " tokens and " + maxTokens + " new ones need "
                        + positions + " positions, and this model has " + config.positions() + ": fewer --max-tokens or a shorter prompt");
            }
            most = Math.max(most, positions);
        }
        return (int) most;
    }

    /**
     * Continues prompts with places 0, 1, ... of the decoder's cache.
     *
     * @param prompts at most as many as the decoder has sequences
     */
    public Result run(List<int[]> prompts) {
        positions(decoder.config(), prompts, settings.maxTokens());
        List<List<Integer>> tokens = new ArrayList<>();
        List<Sampler> samplers = new ArrayList<>();
        for (int i = 0; i < prompts.size(); i++) {
            tokens.add(new ArrayList<>());
            samplers.add(new Sampler(settings.temperature(), settings.topP(), settings.seed()));
        }
        long start = System.nanoTime();
        prefill(prompts, tokens, samplers);
        double prefillSeconds = (System.nanoTime() - start) * 1e-9;
        start = System.nanoTime();
        int steps = 0;
        long decoded = 0;
        for (int[] active = unfinished(tokens); active.length > 0; active = unfinished(tokens)) {
            for (int from = 0; from < active.length; from += decoder.mostRows()) {
                int[] part = Arrays.copyOfRange(active, from, Math.min(active.length, from + decoder.mostRows()));
                decode(part, prompts, tokens, samplers);
                steps++;
                decoded += part.length;
            }
        }
        return new Result(tokens, prompts.stream().mapToLong(prompt -> prompt.length).sum(), prefillSeconds, decoded, steps,
                (System.nanoTime() - start) * 1e-9);
    }

    private int[] unfinished(List<List<Integer>> tokens) {
        List<Integer> active = new ArrayList<>();
        for (int i = 0; i < tokens.size(); i++) {
            List<Integer> own = tokens.get(i);
            if (own.size() < settings.maxTokens() && !decoder.config().endIds().contains(own.get(own.size() - 1))) {
                active.add(i);
            }
        }
        return active.stream().mapToInt(Integer::intValue).toArray();
    }

    /** The rows of all prompts one behind the other, cut into steps. */
    private void prefill(List<int[]> prompts, List<List<Integer>> tokens, List<Sampler> samplers) {
        int most = decoder.mostRows();
        Rows rows = new Rows(most);
        for (int sequence = 0; sequence < prompts.size(); sequence++) {
            int[] prompt = prompts.get(sequence);
            for (int position = 0; position < prompt.length; position++) {
                rows.add(sequence, position, prompt[position], position == prompt.length - 1);
                if (rows.count == most) {
                    take(rows, tokens, samplers);
                }
            }
        }
        if (rows.count > 0) {
            take(rows, tokens, samplers);
        }
    }

    private void take(Rows rows, List<List<Integer>> tokens, List<Sampler> samplers) {
        Step step = rows.step();
        next(step, tokens, samplers);
        rows.count = 0;
        rows.outputs.clear();
    }

    private void decode(int[] sequences, List<int[]> prompts, List<List<Integer>> tokens, List<Sampler> samplers) {
        int[] positions = new int[sequences.length];
        int[] last = new int[sequences.length];
        for (int i = 0; i < sequences.length; i++) {
            List<Integer> own = tokens.get(sequences[i]);
            positions[i] = prompts.get(sequences[i]).length + own.size() - 1;
            last[i] = own.get(own.size() - 1);
        }
        next(Step.tokens(sequences, positions, last), tokens, samplers);
    }

    /** Runs a step and gives each output's sequence its next token. */
    private void next(Step step, List<List<Integer>> tokens, List<Sampler> samplers) {
        boolean greedy = settings.temperature() == 0;
        int vocabulary = decoder.config().vocabulary();
        int[] chosen = greedy ? decoder.argmax(step) : null;
        float[] logits = greedy ? null : decoder.logits(step);
        for (int i = 0; i < step.outputs().length; i++) {
            int sequence = step.sequences()[step.outputs()[i]];
            int token = greedy ? chosen[i] : samplers.get(sequence).next(logits, i * vocabulary, vocabulary);
            tokens.get(sequence).add(token);
            listener.token(sequence, token);
        }
    }

    /** A step being collected. */
    private static final class Rows {
        private final int[] sequences;
        private final int[] positions;
        private final int[] tokens;
        private final List<Integer> outputs = new ArrayList<>();
        private int count;

        Rows(int most) {
            sequences = new int[most];
            positions = new int[most];
            tokens = new int[most];
        }

        void add(int sequence, int position, int token, boolean output) {
            sequences[count] = sequence;
            positions[count] = position;
            tokens[count] = token;
            if (output) {
                outputs.add(count);
            }
            count++;
        }

        Step step() {
            return new Step(Arrays.copyOf(sequences, count), Arrays.copyOf(positions, count), Arrays.copyOf(tokens, count),
                    outputs.stream().mapToInt(Integer::intValue).toArray());
        }
    }
}
