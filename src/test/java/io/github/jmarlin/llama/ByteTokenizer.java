package io.github.jmarlin.llama;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A tokenizer.json with a token for each byte, as byte-level tokenizers have it: 0 begins a text, byte b is token b + 1. */
public final class ByteTokenizer {
    public static final int VOCABULARY = 257;

    private ByteTokenizer() {
    }

    public static void write(Path folder) throws IOException {
        StringBuilder vocabulary = new StringBuilder("\"<s>\": 0");
        int other = 256;
        for (int value = 0; value < 256; value++) {
            // Printable ones stand for themselves, the others for characters from 256 on.
            boolean printable = value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae;
            int shown = printable ? value : other++;
            vocabulary.append(String.format(", \"\\u%04x\": %d", shown, value + 1));
        }
        Files.writeString(folder.resolve("tokenizer.json"), """
                {"version": "1.0", "truncation": null, "padding": null,
                 "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                                   "normalized": false, "special": true}],
                 "normalizer": null,
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
                 "post_processor": {"type": "TemplateProcessing",
                   "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                   "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                   "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
                 "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
                 "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                           "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": {%s}, "merges": []}}
                """.formatted(vocabulary));
    }
}
