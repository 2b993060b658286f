package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.MappedFile;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * A GGUF file, with its further parts, as a model. Immutable and thread-safe.
 *
 * <p>The order of rows: llama.cpp's converter turns the rows of q and k of Llama's architecture round, for a rotation of neighbours; in
 * {@link #store} they are as they were. Of other architectures it leaves them. A token embedding of blocks is there as
 * fp16 if there is a head besides: it is then looked up and never multiplied.
 *
 * @param store the tensors, and config.json, generation_config.json and tokenizer.json as far as the metadata say what stands there
 * @param blocks the type of each tensor of blocks, by its name in the store
 * @param architecture as the file calls it
 * @param untranslated what the metadata say and no document of the store does, with the reason, for people
 */
public record GgufModel(TensorStore store, Map<String, GgufType> blocks, String architecture, List<String> untranslated) {
    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String HEAD = "lm_head.weight";
    private static final String TOKENIZER = "tokenizer.json";

    /** Whether a path must be a GGUF file: every other model is a folder. */
    public static boolean isMeant(Path model) {
        return Files.isRegularFile(model);
    }

    /**
     * Opens a file, or any of the parts of a model.
     *
     * @throws MalformedCheckpointException if a file breaks a rule of the format, or a part is missing
     * @throws io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException if it has a version or type that is not read
     * @throws IOException if a file cannot be read
     */
    public static GgufModel open(Path path) throws IOException {
        return of(path, GgufFile.openAll(path));
    }

    /** As {@link #open}, of files that are open already. */
    public static GgufModel of(Path path, List<GgufFile> files) {
        ConfigNode metadata = ConfigNode.of(files.get(0).path(), "", files.get(0).values());
        String architecture = metadata.get("general.architecture").string();
        boolean known = GgufNames.know(architecture);
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        Map<String, GgufType> blocks = new HashMap<>();
        for (GgufFile file : files) {
            file.tensors().forEach((own, tensor) -> {
                String name = known ? GgufNames.translated(own) : own;
                Tensor other = tensors.putIfAbsent(name, tensor.as(name, tensor.type(), tensor.shape()));
                if (other != null) {
                    throw tensor.malformed("the same name in " + other.file().getFileName(), "each tensor must be there once");
                }
                if (file.types().get(own).plain() == null) {
                    blocks.put(name, file.types().get(own));
                }
            });
        }
        Map<String, Supplier<byte[]>> documents = new HashMap<>();
        GgufTokenizer tokenizer = new GgufTokenizer(metadata);
        if (known) {
            GgufConfig config = new GgufConfig(architecture, metadata, Map.copyOf(tensors));
            documents.put("config.json", () -> Json.render(config.config()));
            documents.put("generation_config.json", () -> Json.render(config.generation()));
            if (tokenizer.whyNot() == null) {
                documents.put(TOKENIZER, tokenizer::json);
            }
            if (architecture.equals("llama")) {
                tensors.replaceAll((name, tensor) -> inHalves(name, tensor, config));
            }
            decodeEmbedding(tensors, blocks);
        }
        return new GgufModel(TensorStore.of(path, files, tensors, documents), Map.copyOf(blocks), architecture,
                untranslated(known ? null : architecture, tokenizer));
    }

    /** @param unknown the architecture, or null if it is known */
    private static List<String> untranslated(String unknown, GgufTokenizer tokenizer) {
        List<String> untranslated = new ArrayList<>();
        if (unknown != null) {
            untranslated.add("configuration of architecture " + unknown);
        }
        String why = tokenizer.whyNot() == null && unknown != null ? "it is that of architecture " + unknown : tokenizer.whyNot();
        if (tokenizer.isThere() && why != null) {
            untranslated.add("tokenizer: " + why);
        }
        return List.copyOf(untranslated);
    }

    private static Tensor inHalves(String name, Tensor tensor, GgufConfig config) {
        boolean queries = name.contains(".self_attn.q_proj.");
        if (!queries && !name.contains(".self_attn.k_proj.")) {
            return tensor;
        }
        long heads = queries ? config.heads() : config.keyValueHeads();
        long rows = tensor.shape().isEmpty() ? 0 : tensor.shape().get(0);
        if (rows > Integer.MAX_VALUE || rows < 1 || tensor.bytes() / rows > MappedFile.LONGEST_SLICE || rows % (2 * heads) != 0) {
            throw tensor.malformed("shape " + tensor.shape(), "must be rows of " + heads + " heads, an even number of each");
        }
        return MadeTensors.halves(tensor, (int) (rows / heads));
    }

    private static void decodeEmbedding(Map<String, Tensor> tensors, Map<String, GgufType> blocks) {
        GgufBlocks how = GgufBlocks.of(blocks.get(EMBEDDING));
        if (how != null && tensors.containsKey(HEAD) && tensors.get(EMBEDDING).shape().size() == 2) {
            tensors.put(EMBEDDING, MadeTensors.fp16(tensors.get(EMBEDDING), how));
            blocks.remove(EMBEDDING);
        }
    }

    /** Why there is no tokenizer.json: what the file's tokenizer is; null if there is one, or the architecture is not known. */
    public String whyNoTokenizer() {
        return new GgufTokenizer(ConfigNode.of(store.folder(), "", ((GgufFile) store.files().get(0)).values())).whyNot();
    }
}
