package io.github.jmarlin.checkpoint.container.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.memory.NativeMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tensors whose bytes are made while they are read: any piece of them is that piece of the whole. */
final class MadeTensorsTest {
    private static final int COLUMNS = 96;
    private static final int ROWS = 24;

    @TempDir
    private Path folder;

    private GgufModel model(String architecture) throws IOException {
        byte[] embedding = SlowBlocks.random(GgufType.Q5_0, COLUMNS * ROWS, 0.01f, new Random(1));
        byte[] queries = SlowBlocks.random(GgufType.Q8_0, COLUMNS * ROWS, 0.01f, new Random(2));
        return GgufModel.open(new GgufWriter().string("general.architecture", architecture)
                .u32(architecture + ".attention.head_count", 3).tensor("token_embd.weight", 6, embedding, COLUMNS, ROWS)
                .tensor("output.weight", 6, embedding, COLUMNS, ROWS).tensor("blk.0.attn_q.weight", 8, queries, COLUMNS, ROWS)
                .tensor("norm", new float[] {1}, 1).write(folder.resolve("model.gguf")));
    }

    private static void anyPiece(Tensor tensor) throws IOException {
        assertFalse(tensor.isMapped());
        ByteBuffer whole = tensor.slice(0, (int) tensor.bytes());
        Random random = new Random(3);
        for (int i = 0; i < 300; i++) {
            int from = random.nextInt((int) tensor.bytes() + 1);
            int length = random.nextInt((int) tensor.bytes() - from + 1);
            assertEquals(whole.slice(from, length), tensor.slice(from, length), from + " + " + length);
        }
        try (NativeMemory memory = tensor.memory(100)) {
            assertEquals(whole, memory.slice(0, (int) memory.size()));
        }
    }

    @Test
    void theEmbeddingAsFp16() throws IOException {
        Tensor embedding = model("llama").store().require("model.embed_tokens.weight");
        assertEquals(TensorType.F16, embedding.type());
        assertEquals(List.of((long) ROWS, (long) COLUMNS), embedding.shape());
        byte[] blocks = SlowBlocks.random(GgufType.Q5_0, COLUMNS * ROWS, 0.01f, new Random(1));
        for (int i = 0; i < COLUMNS * ROWS; i++) {
            assertEquals(HalfFloats.toFp16(SlowBlocks.ofRow(GgufType.Q5_0, blocks, i).value()), embedding.slice(2L * i, 2).getShort(0));
        }
        anyPiece(embedding);
    }

    /** Heads of 8 rows: row 2 j + h of the file is row 4 h + j. */
    @Test
    void queriesInHalves() throws IOException {
        Tensor queries = model("llama").store().require("model.layers.0.self_attn.q_proj.weight");
        Tensor stored = model("qwen2").store().require("model.layers.0.self_attn.q_proj.weight");
        assertTrue(stored.isMapped());
        int row = COLUMNS / 32 * 34;
        for (int head = 0; head < 3; head++) {
            for (int j = 0; j < 4; j++) {
                for (int h = 0; h < 2; h++) {
                    assertEquals(stored.slice((long) (8 * head + 2 * j + h) * row, row), queries.slice((long) (8 * head + 4 * h + j) * row, row));
                }
            }
        }
        anyPiece(queries);
    }

    @Test
    void namesOfTheirs() throws IOException {
        Set<String> names = model("llama").store().tensors().keySet();
        assertEquals(Set.of("model.embed_tokens.weight", "lm_head.weight", "model.layers.0.self_attn.q_proj.weight", "norm"), names);
    }
}
