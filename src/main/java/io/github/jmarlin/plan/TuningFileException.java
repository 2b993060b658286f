package io.github.jmarlin.plan;

import io.github.jmarlin.JMarlinException;
import java.nio.file.Path;

/** A tuning file that cannot be read, breaks the format, is of another version, or was measured on another device. */
public final class TuningFileException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    TuningFileException(Path file, String reason, Throwable cause) {
        super("tuning file " + file + ": " + reason, cause);
    }
}
