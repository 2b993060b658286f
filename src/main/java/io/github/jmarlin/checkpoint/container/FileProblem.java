package io.github.jmarlin.checkpoint.container;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;

/** Puts into words what a file operation wanted and why it failed: the messages of Java's own exceptions are mostly a bare path. */
public final class FileProblem {
    private FileProblem() {
    }

    /** An operation on files. */
    public interface Operation<T> {
        /** Does it. */
        T run() throws IOException;
    }

    /**
     * Runs {@code operation}.
     *
     * @param what it does to the file, as an infinitive: {@code "read this file"}
     * @throws FileSystemException {@code PATH: cannot WHAT: WHY} if it fails
     */
    public static <T> T explained(String what, Path path, Operation<T> operation) throws IOException {
        try {
            return operation.run();
        } catch (IOException e) {
            FileSystemException explained = new FileSystemException(path.toString(), null, "cannot " + what + ": "
                    + (what.endsWith("file") && Files.isDirectory(path) ? "it is a folder" : why(e)));
            explained.initCause(e);
            throw explained;
        }
    }

    /** The reason alone, in words. */
    public static String why(IOException e) {
        if (e instanceof NoSuchFileException) {
            return "there is no such file or folder";
        }
        if (e instanceof AccessDeniedException) {
            return "access is denied";
        }
        if (e instanceof FileAlreadyExistsException) {
            return "a file of that name is in the way";
        }
        if (e instanceof NotDirectoryException) {
            return "it is not a folder";
        }
        if (e instanceof DirectoryNotEmptyException) {
            return "the folder is not empty";
        }
        if (e instanceof FileSystemLoopException) {
            return "its links run in a circle";
        }
        String reason = e instanceof FileSystemException ? ((FileSystemException) e).getReason() : e.getMessage();
        return reason == null ? e.getClass().getSimpleName() : reason;
    }

    /** The whole message for a person: with the reason if the exception itself only names a file. */
    public static String message(IOException e) {
        boolean bare = e instanceof FileSystemException && ((FileSystemException) e).getReason() == null;
        return bare ? ((FileSystemException) e).getFile() + ": " + why(e)
                : e.getMessage() == null ? why(e) : e.getMessage();
    }
}
