package io.github.jmarlin;

/** Base of every exception of this library that is not a plain bad argument or a use of something closed. */
public class JMarlinException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param message what happened, with the values and the rule */
    public JMarlinException(String message) {
        super(message);
    }

    /**
     * @param message what happened, with the values and the rule
     * @param cause what made it happen
     */
    public JMarlinException(String message, Throwable cause) {
        super(message, cause);
    }
}
