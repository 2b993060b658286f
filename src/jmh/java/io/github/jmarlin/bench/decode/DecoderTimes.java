package io.github.jmarlin.bench.decode;

import io.github.jmarlin.llama.Decoder;
import io.github.jmarlin.llama.Step;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Median seconds of a decoder's steps, with the head and without, so that blocks and head can be extrapolated each by its own factor.
 *
 * @param blocks the blocks alone
 * @param whole blocks and head
 */
record DecoderTimes(double blocks, double whole) {
    /** A prompt; only its last row goes through the head. */
    static DecoderTimes ofPrompt(Decoder decoder, int tokens, double seconds) {
        Step step = Step.prompt(0, 0, IntStream.range(0, tokens).map(i -> i * 7919 % decoder.config().vocabulary()).toArray(), false);
        return of(decoder, List.of(step), seconds);
    }

    /** Steps of a row for each sequence, from the first position on. */
    static DecoderTimes ofBatch(Decoder decoder, int batch, double seconds) {
        List<Step> steps = new ArrayList<>();
        int[] sequences = IntStream.range(0, batch).toArray();
        for (int position = 0; position < decoder.positions(); position++) {
            int at = position;
            steps.add(Step.tokens(sequences, IntStream.generate(() -> at).limit(batch).toArray(),
                    IntStream.range(0, batch).map(i -> (i * 31 + at) * 7919 % decoder.config().vocabulary()).toArray()));
        }
        return of(decoder, steps, seconds);
    }

    /** Each step is taken with and without outputs, in turn: what disturbs one disturbs the other. */
    private static DecoderTimes of(Decoder decoder, List<Step> steps, double seconds) {
        List<Double> blocks = new ArrayList<>();
        List<Double> whole = new ArrayList<>();
        long start = System.nanoTime();
        for (int round = 0; round < 2 || (System.nanoTime() - start) * 1e-9 < seconds && round < 1000; round++) {
            for (Step step : steps) {
                Step silent = new Step(step.sequences(), step.positions(), step.tokens(), new int[0]);
                double first = seconds(decoder, silent);
                double second = seconds(decoder, step);
                if (round > 0) {        // the first one warms up
                    blocks.add(first);
                    whole.add(second);
                }
                if (round > 0 && (System.nanoTime() - start) * 1e-9 > seconds) {
                    break;
                }
            }
        }
        return new DecoderTimes(median(blocks), median(whole));
    }

    private static double seconds(Decoder decoder, Step step) {
        long start = System.nanoTime();
        decoder.argmax(step);
        return (System.nanoTime() - start) * 1e-9;
    }

    private static double median(List<Double> values) {
        Collections.sort(values);
        return values.get(values.size() / 2);
    }

    /** Seconds of a step of the whole model. */
    double extrapolated(double blockFactor, double headFactor) {
        return blocks * blockFactor + Math.max(0, whole - blocks) * headFactor;
    }
}
