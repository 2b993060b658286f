package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.format.Calibration;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.quantize.Hessian;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Calibration in memory: lets a model read texts and adds up what goes into its linear layers. Takes 8 k^2 bytes of heap for each
 * input, however long the texts; {@link CalibrationWriter} records them instead.
 */
public final class InputHessians {
    private InputHessians() {
    }

    /**
     * Lets a model read texts.
     *
     * @param texts tokens of each, at least one and no more than the model has positions
     */
    public static Calibration of(CpuDevice device, LlamaModel model, List<int[]> texts) {
        // Layers that read the same share a Hessian, which the first of them fills.
        Map<String, Hessian> filled = new HashMap<>();
        Map<String, Hessian> hessians = new HashMap<>();
        for (int block = 0; block < model.config().layers(); block++) {
            for (LayerInput input : LayerInput.values()) {
                Hessian hessian = new Hessian(input.k(model.config()));
                filled.put(input.layers(block).get(0), hessian);
                input.layers(block).forEach(layer -> hessians.put(layer, hessian));
            }
        }
        int longest = texts.stream().mapToInt(text -> text.length).max().orElse(0);
        try (CpuDecoder decoder = new CpuDecoder(device, model, 1, longest, (layer, activations, rows, k) -> {
            if (filled.containsKey(layer)) {
                filled.get(layer).add(Arrays.copyOf(activations, rows * k), rows);
            }
        })) {
            for (int[] text : texts) {
                for (int from = 0; from < text.length; from += decoder.mostRows()) {
                    int[] part = Arrays.copyOfRange(text, from, Math.min(text.length, from + decoder.mostRows()));
                    decoder.logits(Step.prompt(0, from, part, false));
                }
            }
        }
        return Calibration.of(hessians);
    }
}
