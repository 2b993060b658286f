package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.quantize.Hessian;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Adds up what goes into a model's linear layers while it reads, for GPTQ: 8 k^2 bytes of heap for each layer, however long the texts. */
public final class InputHessians {
    private final Map<String, Hessian> hessians = new HashMap<>();

    private InputHessians() {
    }

    /**
     * Lets a model read texts.
     *
     * @param texts tokens of each, at least one and no more than the model has positions
     */
    public static Calibration of(CpuDevice device, LlamaModel model, List<int[]> texts) {
        InputHessians sums = new InputHessians();
        int longest = texts.stream().mapToInt(text -> text.length).max().orElse(0);
        try (CpuDecoder decoder = new CpuDecoder(device, model, 1, longest, sums::add)) {
            for (int[] text : texts) {
                for (int from = 0; from < text.length; from += decoder.mostRows()) {
                    int to = Math.min(text.length, from + decoder.mostRows());
                    decoder.logits(Step.prompt(0, from, Arrays.copyOfRange(text, from, to), false));
                }
            }
        }
        return Calibration.of(sums.hessians);
    }

    private void add(String layer, float[] activations, int rows, int k) {
        hessians.computeIfAbsent(layer, name -> new Hessian(k)).add(Arrays.copyOf(activations, rows * k), rows);
    }
}
