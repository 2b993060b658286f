package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.JMarlinException;
import java.nio.file.Path;

/** A checkpoint file, tensor or configuration that breaks a rule of its format, or lacks a part that it names. */
public final class MalformedCheckpointException extends JMarlinException {
    private static final long serialVersionUID = 1L;
    private static final int LONGEST_SHOWN = 200;

    private final transient Path file;
    private final String where;

    /**
     * @param file the file at fault
     * @param where the tensor, key or byte offset in it
     * @param found the value found there
     * @param rule what the format asks for
     */
    public MalformedCheckpointException(Path file, String where, Object found, String rule) {
        this(file, where, found, rule, null);
    }

    /** As above, with the exception of a library that noticed. */
    public MalformedCheckpointException(Path file, String where, Object found, String rule, Throwable cause) {
        super(message(file, where, found, rule), cause);
        this.file = file;
        this.where = where;
    }

    /** The file at fault. */
    public Path file() {
        return file;
    }

    /** The tensor, key or byte offset at fault. */
    public String where() {
        return where;
    }

    /** The one form of message both exceptions of this package have; values too long for a line are cut. */
    static String message(Path file, String where, Object found, String rule) {
        return oneLine(file + ": " + shorten(where) + ": found " + shorten(String.valueOf(found)) + "; " + rule);
    }

    /** Names and values are other people's: line ends in them must not look like ours. */
    private static String oneLine(String text) {
        return text.codePoints().anyMatch(Character::isISOControl)
                ? text.replace("\r", "\\r").replace("\n", "\\n").replaceAll("\\p{Cntrl}", "?") : text;
    }

    private static String shorten(String text) {
        return text.length() <= LONGEST_SHOWN ? text
                : text.substring(0, LONGEST_SHOWN) + "... (" + text.length() + " characters)";
    }
}
