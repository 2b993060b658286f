package io.github.jmarlin;

/** A kernel image is missing, unreadable, or not of this version of the library. */
public final class KernelImageException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    /** @param message which image, and what was found and expected */
    public KernelImageException(String message) {
        super(message);
    }

    /**
     * @param message which image, and what was found and expected
     * @param cause what was met when it was read
     */
    public KernelImageException(String message, Throwable cause) {
        super(message, cause);
    }
}
