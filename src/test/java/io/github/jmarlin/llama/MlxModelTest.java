package io.github.jmarlin.llama;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.BitWriter;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.TestModel;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.packed.ModelPacker;
import io.github.jmarlin.checkpoint.packed.PackOptions;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.testing.Errors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole model of MLX, whose table of embeddings is quantized and is the head too, and whose layers have two widths. */
final class MlxModelTest {
    private static final int GROUP = 32;
    private static final int[] TOKENS = {5, 17, 80, 3, 3, 61, 9};

    @TempDir
    Path folder;

    /** The model with the numbers that its files hold. */
    private final TinyLlama tiny = new TinyLlama("llama", 3).without("lm_head.weight").config("tie_word_embeddings", "true");

    private Path write() throws IOException {
        tiny.config("quantization", "{\"group_size\":32,\"bits\":4,\"model.layers.0.mlp.down_proj\":{\"group_size\":32,\"bits\":8},"
                + "\"model.embed_tokens\":{\"group_size\":32,\"bits\":8}}");
        TestModel model = tiny.model(TensorType.F32);
        for (String name : tiny.tensors.keySet()) {
            if (!name.contains("norm")) {
                boolean wide = name.contains("embed") || name.equals("model.layers.0.mlp.down_proj.weight");
                int rows = name.contains("embed") ? TinyLlama.VOCABULARY
                        : name.contains("gate") || name.contains("up_") ? TinyLlama.INTERMEDIATE
                        : name.contains("k_proj") || name.contains("v_proj") ? TinyLlama.HIDDEN / 2 : TinyLlama.HIDDEN;
                quantize(model, name.substring(0, name.length() - ".weight".length()), rows, wide ? 8 : 4);
            }
        }
        return model.write(folder.resolve("model"), tiny.json());
    }

    /** Rounds a matrix to the nearest numbers between the least and the greatest of each group, in the file and in the model. */
    private void quantize(TestModel model, String layer, int rows, int bits) {
        float[] weights = tiny.tensors.get(layer + ".weight");
        int columns = weights.length / rows;
        int[][] codes = new int[columns][rows];
        float[] scales = new float[weights.length / GROUP];
        float[] biases = new float[scales.length];
        for (int group = 0; group < scales.length; group++) {
            float least = Float.MAX_VALUE;
            float most = -Float.MAX_VALUE;
            for (int i = group * GROUP; i < (group + 1) * GROUP; i++) {
                least = Math.min(least, weights[i]);
                most = Math.max(most, weights[i]);
            }
            scales[group] = HalfFloats.fromFp16(HalfFloats.toFp16((most - least) / ((1 << bits) - 1)));
            biases[group] = HalfFloats.fromFp16(HalfFloats.toFp16(least));
            for (int i = group * GROUP; i < (group + 1) * GROUP; i++) {
                int code = Math.max(0, Math.min((1 << bits) - 1, Math.round((weights[i] - biases[group]) / scales[group])));
                codes[i % columns][i / columns] = code;
                weights[i] = code * scales[group] + biases[group];
            }
        }
        model.remove(layer + ".weight").add(layer + ".weight", TensorType.U32, BitWriter.alongK(codes, bits, 4), rows, columns * bits / 32)
                .floats(layer + ".scales", TensorType.F16, scales, rows, columns / GROUP)
                .floats(layer + ".biases", TensorType.F16, biases, rows, columns / GROUP);
    }

    private double[] expected() {
        double[] logits = new SlowLlama(tiny, 32, SlowLlama.plainFrequencies(32)).logits(TOKENS);
        return Arrays.copyOfRange(logits, (TOKENS.length - 1) * TinyLlama.VOCABULARY, logits.length);
    }

    private void assertLogits(Path path, LlamaModel.Options options) throws IOException {
        try (CpuDevice device = new CpuDevice(2); LlamaModel model = LlamaModel.open(path, options);
                Decoder decoder = new CpuDecoder(device, model, 1, TOKENS.length)) {
            float[] logits = decoder.logits(Step.prompt(0, 0, TOKENS, false));
            Errors.assertWithin(1e-5, expected(), logits, logits.length, path.getFileName() + " " + options.weights());
        }
    }

    @Test
    void asDownloadedAndPacked() throws IOException {
        Path source = write();
        assertLogits(source, LlamaModel.Options.STORED);
        assertLogits(source, new LlamaModel.Options(LlamaModel.Weights.DENSE, LlamaModel.Options.STORED.quantization(), false));
        Path packed = folder.resolve("packed");
        new ModelPacker(Checkpoint.open(source), packed, PackOptions.DEFAULT).run();
        assertLogits(packed, LlamaModel.Options.STORED);
        try (LlamaModel model = LlamaModel.open(packed, LlamaModel.Options.STORED)) {
            assertInstanceOf(Projection.Packed.class, model.head(), "the head is not dequantized with the table");
        }
    }

    @Test
    void aTableOfAnotherSizeIsRefused() throws IOException {
        tiny.config("vocab_size", "97");
        Path source = write();
        JMarlinException e = assertThrows(JMarlinException.class, () -> LlamaModel.open(source, LlamaModel.Options.STORED));
        assertTrue(e.getMessage().contains("layer model.embed_tokens: found k 128, n 96; config.json asks for k 128, n 97"),
                e.getMessage());
    }
}
