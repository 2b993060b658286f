package io.github.jmarlin.cli;

import java.util.stream.Stream;

/** Token ids as people write them: with blanks between. */
final class TokenIds {
    private static final int LONGEST_SHOWN = 60;

    private TokenIds() {
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
