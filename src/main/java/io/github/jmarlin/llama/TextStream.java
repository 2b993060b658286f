package io.github.jmarlin.llama;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Turns tokens into text as they come. A token may be a part of a character, and whether it begins with a space may depend on the one
 * before it; so a window of tokens is decoded again each time, and what it has more than before is new.
 */
public final class TextStream {
    private static final char INCOMPLETE = '\uFFFD';
    /** A character has at most four bytes, so it is whole after as many tokens, or never. */
    private static final int LONGEST_CHARACTER = 4;

    private final Function<List<Integer>, String> decode;
    private final List<Integer> window = new ArrayList<>();
    /** Tokens of the window whose text was given out; they are there as the context of the others. */
    private int shown;

    /**
     * A stream behind a prompt.
     *
     * @param decode the text of some tokens, see {@link Tokenizer#decode}
     */
    public TextStream(Function<List<Integer>, String> decode, int[] prompt) {
        this.decode = decode;
        for (int i = Math.max(0, prompt.length - LONGEST_CHARACTER); i < prompt.length; i++) {
            window.add(prompt[i]);
        }
        shown = window.size();
    }

    /** The text that is certain now; empty while a character is not whole. */
    public String add(int token) {
        window.add(token);
        return text(window.size() - shown > LONGEST_CHARACTER);
    }

    /** What is left: characters that were never completed. */
    public String finish() {
        return text(true);
    }

    private String text(boolean all) {
        String before = decode.apply(window.subList(0, shown));
        String now = decode.apply(window);
        if (now.length() <= before.length() || !all && now.charAt(now.length() - 1) == INCOMPLETE) {
            return "";
        }
        window.subList(0, shown).clear();
        shown = window.size();
        return now.substring(before.length());
    }
}
