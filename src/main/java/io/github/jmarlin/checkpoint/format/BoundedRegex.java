package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression out of a configuration file, matched as Python's {@code re.match} does: from the start of the name, not
 * necessarily to its end. Patterns come from strangers, so each match has a budget of steps: a pattern that backtracks without
 * end is an error, not a hang.
 */
final class BoundedRegex {
    private static final int LONGEST = 1000;
    private static final int LONGEST_NAME = 1000;
    private static final int STEPS = 1_000_000;

    private final ConfigNode where;
    private final Pattern pattern;

    /** @param where the place of the pattern in the file, for errors */
    BoundedRegex(ConfigNode where, String pattern) {
        this.where = where;
        if (pattern.length() > LONGEST) {
            throw where.malformed("a pattern may have at most " + LONGEST + " characters");
        }
        try {
            this.pattern = Pattern.compile(pattern);
        } catch (PatternSyntaxException | StackOverflowError e) {
            throw new MalformedCheckpointException(where.file(), "key " + where.path(), pattern,
                    "must be a regular expression" + (e instanceof PatternSyntaxException
                            ? ": " + ((PatternSyntaxException) e).getDescription() : ", and not a nested one"), e);
        }
    }

    boolean matches(String name) {
        if (name.length() > LONGEST_NAME) {
            throw where.malformed("cannot be matched against a name of " + name.length() + " characters, the limit is "
                    + LONGEST_NAME);
        }
        try {
            return pattern.matcher(new CountedName(name, new int[] {STEPS})).lookingAt();
        } catch (OutOfSteps | StackOverflowError e) {
            throw new MalformedCheckpointException(where.file(), "key " + where.path(), pattern.pattern(),
                    "matching \"" + name + "\" must take at most " + STEPS + " steps", e);
        }
    }

    private static final class OutOfSteps extends RuntimeException {
        private static final long serialVersionUID = 1L;

        OutOfSteps() {
            super("out of steps", null, false, false);
        }
    }

    /** Counts every character the matcher looks at. */
    private record CountedName(String name, int[] steps) implements CharSequence {
        @Override
        public char charAt(int index) {
            if (--steps[0] < 0) {
                throw new OutOfSteps();
            }
            return name.charAt(index);
        }

        @Override
        public int length() {
            return name.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return new CountedName(name.substring(start, end), steps);
        }

        @Override
        public String toString() {
            return name;
        }
    }
}
