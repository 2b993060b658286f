package io.github.jmarlin.llama;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.Gpu;
import io.github.jmarlin.testing.TestMatrices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A block of the shape of Llama-3.1-8B: the GPU's logits are the processor's. */
@Tag("long")
@Tag("gpu")
@Tag("hopper")
final class CudaBlockTest {
    private static final int HIDDEN = 4096;
    private static final int INTERMEDIATE = 14336;
    private static final int VOCABULARY = 128;

    @TempDir
    Path folder;

    /** Of FP16 2^-11 and of BF16 2^-8 in each of a block's roundings. */
    @ParameterizedTest
    @CsvSource({"FP16, 2e-3", "BF16, 1.5e-2"})
    void equalsTheProcessors(DataType type, double error) throws IOException {
        List<AutoCloseable> owned = new ArrayList<>();
        float[] ones = new float[HIDDEN];
        Arrays.fill(ones, 1);
        LlamaModel.Block block = new LlamaModel.Block(ones, List.of(packed(HIDDEN, 6144, type, owned)), null, null,
                packed(4096, HIDDEN, type, owned), ones, List.of(packed(HIDDEN, 2 * INTERMEDIATE, type, owned)),
                packed(INTERMEDIATE, HIDDEN, type, owned));
        try (LlamaModel model = new LlamaModel(config(), dense(1, 1, owned), List.of(block), ones,
                new Projection.Dense(dense(2, 1 / Math.sqrt(HIDDEN), owned)), owned);
                CpuDevice cpu = new CpuDevice(2); Decoder expected = new CpuDecoder(cpu, model, 2, 160);
                Decoder decoder = new CudaDecoder(Gpu.first(), model, 2, 160, PlanOptions.DEFAULT)) {
            int[] tokens = new Random(3).ints(4, 0, VOCABULARY).toArray();
            for (Step step : List.of(Step.prompt(1, 0, tokens, true), Step.tokens(new int[] {0, 1}, new int[] {0, 4}, new int[] {7, 8}))) {
                float[] want = expected.logits(step);
                Errors.assertWithin(error, IntStream.range(0, want.length).mapToDouble(i -> want[i]).toArray(), decoder.logits(step),
                        VOCABULARY, step.rows() + " rows");
            }
        }
    }

    private LlamaConfig config() throws IOException {
        Files.writeString(folder.resolve("config.json"), """
                {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
                 "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": %d,
                 "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu",
                 "tie_word_embeddings": false, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                 "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}""".formatted(VOCABULARY));
        return LlamaConfig.read(folder);
    }

    /** Random codes; scales that keep activations of one size. */
    private static Projection packed(int k, int n, DataType type, List<AutoCloseable> owned) {
        try (QuantizedMatrix matrix = TestMatrices.layer(k, n, 128, type, false, false, 31L * k + n)) {
            PackedWeights packed = PackedWeights.pack(matrix, type);
            owned.add(packed);
            return new Projection.Packed(packed);
        }
    }

    private static DenseMatrix dense(long seed, double deviation, List<AutoCloseable> owned) {
        NativeMemory data = DenseMatrix.memory(VOCABULARY, HIDDEN);
        owned.add(data);
        Random random = new Random(seed);
        for (long i = 0; i < (long) VOCABULARY * HIDDEN; i++) {
            data.putFloat(i * Float.BYTES, (float) (deviation * random.nextGaussian()));
        }
        return new DenseMatrix(DataType.FP32, data, VOCABULARY, HIDDEN, null);
    }
}
