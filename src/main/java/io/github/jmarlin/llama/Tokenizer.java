package io.github.jmarlin.llama;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufModel;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Text to token ids and back, as a model's tokenizer.json says. Thread-safe. */
public final class Tokenizer implements AutoCloseable {
    /** Nothing cut off, nothing filled up: the decoder says what is too long. */
    private static final Map<String, String> WHOLE = Map.of("truncation", "do_not_truncate", "padding", "do_not_pad");
    /** The file's name in a model folder. */
    public static final String FILE = "tokenizer.json";

    private final HuggingFaceTokenizer tokenizer;

    private Tokenizer(HuggingFaceTokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /** Whether a model has one: its folder, or its GGUF file in a form that is known. */
    public static boolean isIn(Path model) throws IOException {
        return GgufModel.isMeant(model) ? GgufModel.open(model).store().madeDocuments().contains(FILE)
                : Files.isRegularFile(model.resolve(FILE));
    }

    /**
     * Opens a model's tokenizer.json, or what a GGUF file has in its place. Nothing is asked of the network, and nothing is left on the
     * disk.
     *
     * @throws MalformedCheckpointException if the file is no tokenizer
     * @throws JMarlinException if the tokenizers library has no native code for this machine
     * @throws IOException if the file cannot be read
     */
    public static Tokenizer open(Path model) throws IOException {
        if (GgufModel.isMeant(model)) {
            return ofGguf(GgufModel.open(model));
        }
        if (!isIn(model)) {
            throw new MalformedCheckpointException(model, FILE, "nothing", "a prompt in words needs it; token ids do not (--ids)");
        }
        return openFile(model.resolve(FILE));
    }

    /** As {@link #open}, given the tokenizer.json itself. */
    public static Tokenizer openFile(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new MalformedCheckpointException(file, "content", "nothing", "must be a tokenizer.json");
        }
        return of(file, "content", Files.readAllBytes(file));
    }

    private static Tokenizer ofGguf(GgufModel model) throws IOException {
        if (!model.store().madeDocuments().contains(FILE)) {
            throw unknown(model);
        }
        return of(model.store().folder(), "tokenizer", model.store().madeDocument(FILE));
    }

    /** Why a GGUF file, which {@link #isIn} says has none, has none in a form that is known; null for folders. */
    public static UnsupportedCheckpointException whyNoneIn(Path model) throws IOException {
        return GgufModel.isMeant(model) ? unknown(GgufModel.open(model)) : null;
    }

    private static UnsupportedCheckpointException unknown(GgufModel model) {
        return new UnsupportedCheckpointException(model.store().folder(), "tokenizer", model.whyNoTokenizer(), "those of GPT-2, Llama, "
                + "Qwen2 and Mistral; token ids do without (generate: --ids), and generate takes a tokenizer.json (--tokenizer FILE)");
    }

    private static Tokenizer of(Path file, String where, byte[] json) throws IOException {
        NativeLibrary.load();
        try {
            return new Tokenizer(HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json), WHOLE));
        } catch (RuntimeException e) {
            throw new MalformedCheckpointException(file, where, e.getMessage(), "must be a tokenizer of Hugging Face's", e);
        }
    }

    /** The ids of a text, with what the tokenizer puts before or behind a text (a token that begins it, for most models). */
    public int[] encode(String text) {
        return Arrays.stream(tokenizer.encode(text, true, false).getIds()).mapToInt(Math::toIntExact).toArray();
    }

    /** The text of some ids; special tokens make none. Bytes that are no whole character become U+FFFD. */
    public String decode(List<Integer> ids) {
        return tokenizer.decode(ids.stream().mapToLong(Integer::longValue).toArray(), true);
    }

    @Override
    public void close() {
        tokenizer.close();
    }

    /** The tokenizers' native code, from the jar. Its settings are read when its classes are loaded, so this comes first. */
    private static final class NativeLibrary {
        private static final JMarlinException FAILURE = loaded();

        static void load() {
            if (FAILURE != null) {
                throw FAILURE;
            }
        }

        private static JMarlinException loaded() {
            System.setProperty("OPT_OUT_TRACKING", "true");
            System.setProperty("ai.djl.offline", "true");
            // It logs through SLF4J, which would warn that nobody listens.
            System.setProperty("slf4j.internal.verbosity", "ERROR");
            Path cache = null;
            try {
                cache = Files.createTempDirectory("jmarlin-tokenizers");
                System.setProperty("DJL_CACHE_DIR", cache.toString());
                // JNA, by which DJL looks for CUDA, would make a folder in the user's home.
                System.setProperty("jna.tmpdir", cache.toString());
                LibUtils.checkStatus();
                return null;
            } catch (EngineException | LinkageError | AssertionError | IOException e) {
                return new JMarlinException("the tokenizers library does not run on this machine, token ids do (--ids): "
                        + (e.getCause() == null ? e.getMessage() : e.getCause().getMessage()), e);
            } finally {
                delete(cache);
            }
        }

        /** A loaded library needs its file no longer; Windows holds it, and cleans its temporary folder itself. */
        private static void delete(Path folder) {
            if (folder == null) {
                return;
            }
            try (Stream<Path> files = Files.walk(folder)) {
                files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(file -> {
                    if (!file.delete()) {
                        file.deleteOnExit();
                    }
                });
            } catch (IOException e) {
                folder.toFile().deleteOnExit();
            }
        }
    }
}
