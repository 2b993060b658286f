package io.github.jmarlin.checkpoint.container;

import io.github.jmarlin.JMarlinException;
import java.nio.file.Path;

/** A checkpoint that is whole as far as we can tell, but of a format, bit width or version that this library does not run. */
public final class UnsupportedCheckpointException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    private final transient Path file;

    /**
     * @param file the file that says so
     * @param where the tensor or key in it
     * @param found the value found there
     * @param accepted what would be accepted instead
     */
    public UnsupportedCheckpointException(Path file, String where, Object found, String accepted) {
        super(MalformedCheckpointException.message(file, where, found, "accepted: " + accepted));
        this.file = file;
    }

    /** The file that names what is unsupported. */
    public Path file() {
        return file;
    }
}
