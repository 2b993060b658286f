package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.format.DenseQuantization;
import io.github.jmarlin.cpu.CpuDevice;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A trained model: in fp32 it says what the reference says, in 4 bits nearly so. */
final class StoriesTest {
    private static final DenseQuantization GROUPS_OF_32 =
            new DenseQuantization(32, true, true, DenseQuantization.USUALLY_EXCLUDED, null);

    private static Evaluation evaluate(LlamaModel.Weights weights) throws IOException {
        int[] ids = Stories.ids();
        try (CpuDevice device = new CpuDevice(2);
                LlamaModel model = LlamaModel.open(Stories.folder(), new LlamaModel.Options(weights, GROUPS_OF_32, true));
                Decoder decoder = new CpuDecoder(device, model, 1, ids.length)) {
            return Evaluation.of(decoder, List.of(ids));
        }
    }

    @Test
    void fp32IsTheReference() throws IOException {
        Evaluation evaluation = evaluate(LlamaModel.Weights.STORED);
        int[] ids = Stories.ids();
        assertArrayEquals(Arrays.copyOfRange(ids, 1, ids.length), evaluation.argmaxes());
        assertEquals(Stories.meanLogProbability(), evaluation.meanLogProbability(), 1e-4);
    }

    @Test
    void lastLogits() throws IOException {
        int[] ids = Stories.ids();
        List<Double> expected = Stories.expected().get("logits_last8").items().stream().map(node -> (Double) node.raw()).toList();
        try (CpuDevice device = new CpuDevice(1);
                LlamaModel model = LlamaModel.open(Stories.folder(), LlamaModel.Options.STORED);
                Decoder decoder = new CpuDecoder(device, model, 1, ids.length)) {
            float[] logits = decoder.logits(Step.prompt(0, 0, ids, false));
            for (int i = 0; i < expected.size(); i++) {
                assertEquals(expected.get(i), logits[i], 1e-3, "logit " + i);
            }
        }
    }

    @Test
    void fourBitsKeepMostArgmaxes() throws IOException {
        Evaluation full = evaluate(LlamaModel.Weights.STORED);
        Evaluation quantized = evaluate(LlamaModel.Weights.QUANTIZED);
        double kept = quantized.agreement(full);
        System.out.printf("stories260K in 4 bits: %.1f %% of argmaxes, mean log-probability %.4f (fp32 %.4f)%n", 100 * kept,
                quantized.meanLogProbability(), full.meanLogProbability());
        assertTrue(kept >= 0.88, "kept " + kept);
        assertTrue(kept < 1, "nothing was quantized");
    }
}
