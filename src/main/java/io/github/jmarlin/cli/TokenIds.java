package io.github.jmarlin.cli;

import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.llama.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Token ids as people write them: with blanks between. */
final class TokenIds {
    private static final int LONGEST_SHOWN = 60;

    private TokenIds() {
    }

    /**
     * As {@link #parse(String, String)}, for a model without a tokenizer. Who wrote words for a GGUF file meant its own tokenizer, and
     * reads why that is not known.
     */
    static int[] parse(String text, String where, Path model) throws IOException {
        try {
            return parse(text, where);
        } catch (IllegalArgumentException e) {
            UnsupportedCheckpointException why = Tokenizer.whyNoneIn(model);
            throw why == null ? e : why;
        }
    }

    /** @param where the text stands, for the message */
    static int[] parse(String text, String where) {
        try {
            return Stream.of(text.trim().split("\\s+")).mapToInt(Integer::parseInt).toArray();
        } catch (NumberFormatException e) {
            String shown = text.length() <= LONGEST_SHOWN ? text : text.substring(0, LONGEST_SHOWN) + "...";
            throw new IllegalArgumentException(where + " \"" + shown
                    + "\": token ids with blanks between expected, for instance \"1 403\"");
        }
    }
}
