package io.github.jmarlin.checkpoint.container.gguf;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The tokenizer in a GGUF file's metadata as a tokenizer.json, which Hugging Face's library reads. Two kinds are known by all they do:
 * {@code gpt2}, merges of bytes, where {@code tokenizer.ggml.pre} names a way of cutting text that is in the table below; and
 * {@code llama}, SentencePiece's merges, whose order follows from the scores.
 */
final class GgufTokenizer {
    private static final String KEYS = "tokenizer.ggml.";
    /** A tokenizer.json as it is. */
    private static final String WHOLE = "tokenizer.huggingface.json";
    private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private static final String WORDS = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
    private static final String REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    /** How text is cut before it is merged, by the name in {@code tokenizer.ggml.pre}. */
    private static final Map<String, Cut> CUTS = Map.ofEntries(
            cut("gpt-2", null, false, false, false), cut("phi-2", null, false, false, false),
            cut("llama-bpe", CONTRACTIONS + WORDS + "|\\p{N}{1,3}" + REST, false, true, true),
            cut("llama3", CONTRACTIONS + WORDS + "|\\p{N}{1,3}" + REST, false, true, true),
            cut("llama-v3", CONTRACTIONS + WORDS + "|\\p{N}{1,3}" + REST, false, true, true),
            cut("qwen2", CONTRACTIONS + WORDS + "|\\p{N}" + REST, true, false, false),
            cut("deepseek-r1-qwen", CONTRACTIONS + WORDS + "|\\p{N}" + REST, true, false, false),
            cut("tekken", "[^\\r\\n\\p{L}\\p{N}]?" + UPPER + "*" + LOWER + "+|[^\\r\\n\\p{L}\\p{N}]?" + UPPER + "+" + LOWER
                    + "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", false, true, true));
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final String SPACE = "\u2581";
    /** More than any vocabulary has. */
    private static final int MOST_TOKENS = 1 << 22;

    private final ConfigNode metadata;

    /**
     * How text is cut.
     *
     * @param pattern what a piece is; null for GPT-2's own
     * @param composed characters and their accents are one character first
     * @param wholeWords a piece that is a token is not merged
     * @param begins a text begins with the token for it, unless the file says otherwise
     */
    private record Cut(String pattern, boolean composed, boolean wholeWords, boolean begins) {
    }

    private static Map.Entry<String, Cut> cut(String name, String pattern, boolean composed, boolean wholeWords, boolean begins) {
        return Map.entry(name, new Cut(pattern, composed, wholeWords, begins));
    }

    /** A vocabulary: strings by their ids, and what kind of token each is. */
    private record Tokens(List<String> texts, int[] kinds, Map<String, Object> ids) {
    }

    GgufTokenizer(ConfigNode metadata) {
        this.metadata = metadata;
    }

    private ConfigNode own(String key) {
        return metadata.get(KEYS + key);
    }

    /** Whether the file has a tokenizer of any kind. */
    boolean isThere() {
        return !metadata.get(WHOLE).isNull() || !own("tokens").isNull();
    }

    /** Why there is no tokenizer.json that means the same; null if there is one. */
    String whyNot() {
        if (metadata.get(WHOLE).raw() instanceof String) {
            return null;
        }
        if (!(own("tokens").raw() instanceof GgufArray) || !(own("model").raw() instanceof String model)) {
            return "the file has no tokenizer";
        }
        if (model.equals("llama")) {
            return own("scores").raw() instanceof GgufArray ? null : "the file has no scores of its tokens";
        }
        if (!model.equals("gpt2")) {
            return "a tokenizer of the kind \"" + model + "\"";
        }
        if (!(own("pre").raw() instanceof String cut)) {
            return "a tokenizer that does not say how it cuts text";
        }
        return CUTS.containsKey(cut) && own("merges").raw() instanceof GgufArray ? null
                : "a tokenizer that cuts text like \"" + cut + "\"";
    }

    /** tokenizer.json. */
    byte[] json() {
        if (metadata.get(WHOLE).raw() instanceof String whole) {
            return whole.getBytes(StandardCharsets.UTF_8);
        }
        Tokens tokens = tokens();
        boolean bytes = own("model").string().equals("gpt2");
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("version", "1.0");
        json.put("added_tokens", added(tokens));
        Cut cut = bytes ? CUTS.get(own("pre").string()) : null;
        if (bytes) {
            mergesOfBytes(json, tokens, cut);
        } else {
            mergesOfScores(json, tokens);
        }
        json.put("post_processor", template(tokens, own("add_bos_token").bool(!bytes || cut.begins)));
        return Json.render(json);
    }

    private Tokens tokens() {
        List<String> texts = new ArrayList<>();
        GgufArray array = (GgufArray) own("tokens").raw();
        array.most(MOST_TOKENS);
        array.strings(texts::add);
        int[] kinds = new int[texts.size()];
        Arrays.fill(kinds, NORMAL);
        if (own("token_type").raw() instanceof GgufArray types) {
            kinds = sameNumber("token_type", types.ints(), types.ints().length, texts);
        }
        Map<String, Object> ids = new LinkedHashMap<>();
        for (int id = 0; id < texts.size(); id++) {
            ids.putIfAbsent(texts.get(id), (long) id);
        }
        return new Tokens(texts, kinds, ids);
    }

    private <T> T sameNumber(String key, T values, int count, List<String> texts) {
        if (count != texts.size()) {
            throw new MalformedCheckpointException(metadata.file(), "key " + KEYS + key, count + " elements", "there are " + texts.size()
                    + " tokens");
        }
        return values;
    }

    private static List<Object> added(Tokens tokens) {
        List<Object> added = new ArrayList<>();
        for (int id = 0; id < tokens.texts.size(); id++) {
            int kind = tokens.kinds[id];
            if ((kind == CONTROL || kind == USER_DEFINED || kind == UNKNOWN) && !tokens.texts.get(id).isEmpty()) {
                added.add(object("id", (long) id, "content", tokens.texts.get(id), "single_word", false, "lstrip", false, "rstrip", false,
                        "normalized", false, "special", kind != USER_DEFINED));
            }
        }
        return added;
    }

    private void mergesOfBytes(Map<String, Object> json, Tokens tokens, Cut cut) {
        Map<String, Object> level = object("type", "ByteLevel", "add_prefix_space", false, "trim_offsets", false, "use_regex",
                cut.pattern == null);
        json.put("normalizer", cut.composed ? object("type", "NFC") : null);
        json.put("pre_tokenizer", cut.pattern == null ? level : object("type", "Sequence", "pretokenizers", List.of(
                object("type", "Split", "pattern", object("Regex", cut.pattern), "behavior", "Isolated", "invert", false), level)));
        json.put("decoder", level);
        List<Object> merges = new ArrayList<>();
        ((GgufArray) own("merges").raw()).strings(merges::add);
        json.put("model", object("type", "BPE", "unk_token", null, "fuse_unk", false, "byte_fallback", false, "ignore_merges",
                cut.wholeWords, "vocab", tokens.ids, "merges", merges));
    }

    /** Spaces are written as U+2581; what is no token is spelled in tokens of a byte each. */
    private void mergesOfScores(Map<String, Object> json, Tokens tokens) {
        Map<String, Object> marked = object("type", "Replace", "pattern", object("String", " "), "content", SPACE);
        boolean prefixed = own("add_space_prefix").bool(true);
        json.put("normalizer", prefixed ? object("type", "Sequence", "normalizers",
                List.of(object("type", "Prepend", "prepend", SPACE), marked)) : marked);
        List<Object> decoders = new ArrayList<>(List.of(
                object("type", "Replace", "pattern", object("String", SPACE), "content", " "),
                object("type", "ByteFallback"), object("type", "Fuse")));
        if (prefixed) {
            decoders.add(object("type", "Strip", "content", " ", "start", 1L, "stop", 0L));
        }
        json.put("decoder", object("type", "Sequence", "decoders", decoders));
        float[] scores = ((GgufArray) own("scores").raw()).floats();
        String unknown = null;
        for (int id = 0; id < tokens.texts.size() && unknown == null; id++) {
            unknown = tokens.kinds[id] == UNKNOWN ? tokens.texts.get(id) : null;
        }
        json.put("model", object("type", "BPE", "unk_token", unknown, "fuse_unk", true, "byte_fallback", true, "ignore_merges", false,
                "vocab", tokens.ids, "merges", merges(tokens, sameNumber("scores", scores, scores.length, tokens.texts))));
    }

    /** One way to make a token of two others. */
    private record Merge(String left, String right, float score) {
    }

    /** Every way to make a token of two, the best token's first: what SentencePiece does at each step. */
    private static List<Object> merges(Tokens tokens, float[] scores) {
        List<Merge> merges = new ArrayList<>();
        for (int id = 0; id < scores.length; id++) {
            String text = tokens.texts.get(id);
            if (tokens.kinds[id] != NORMAL && tokens.kinds[id] != USER_DEFINED) {
                continue;
            }
            for (int at = text.offsetByCodePoints(0, Math.min(1, text.length())); at < text.length(); at = text.offsetByCodePoints(at, 1)) {
                String left = text.substring(0, at);
                String right = text.substring(at);
                if (tokens.ids.containsKey(left) && tokens.ids.containsKey(right)) {
                    merges.add(new Merge(left, right, scores[id]));
                }
            }
        }
        merges.sort(Comparator.comparing((Merge merge) -> -merge.score)
                .thenComparing(merge -> -merge.left.codePointCount(0, merge.left.length()))
                .thenComparing(merge -> -merge.right.codePointCount(0, merge.right.length())));
        List<Object> pairs = new ArrayList<>();
        merges.forEach(merge -> pairs.add(List.of(merge.left, merge.right)));
        return pairs;
    }

    /** What stands before and behind a text. */
    private Map<String, Object> template(Tokens tokens, boolean begins) {
        List<Object> single = new ArrayList<>();
        Map<String, Object> special = new LinkedHashMap<>();
        if (begins) {
            special("bos_token_id", tokens, single, special);
        }
        single.add(object("Sequence", object("id", "A", "type_id", 0L)));
        if (own("add_eos_token").bool(false)) {
            special("eos_token_id", tokens, single, special);
        }
        List<Object> pair = List.of(object("Sequence", object("id", "A", "type_id", 0L)),
                object("Sequence", object("id", "B", "type_id", 0L)));
        return object("type", "TemplateProcessing", "single", single, "pair", pair, "special_tokens", special);
    }

    private void special(String key, Tokens tokens, List<Object> single, Map<String, Object> special) {
        ConfigNode node = own(key);
        // Writers say by an id that no vocabulary has, all bits set, that there is none.
        if (node.isNull() || node.number() < 0 || node.number() >= tokens.texts.size()) {
            return;
        }
        String text = tokens.texts.get((int) node.number());
        single.add(object("SpecialToken", object("id", text, "type_id", 0L)));
        special.put(text, object("id", text, "ids", List.of(node.number()), "tokens", List.of(text)));
    }

    private static Map<String, Object> object(Object... keysAndValues) {
        Map<String, Object> object = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            object.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return object;
    }
}
