package io.github.jmarlin.build;

/** The build must stop; the message is for the person who runs it. */
class KernelBuildException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    KernelBuildException(String message) {
        super(message);
    }

    /** There is no compiler that could compile. */
    static final class NoCompiler extends KernelBuildException {
        private static final long serialVersionUID = 1L;

        NoCompiler(String message) {
            super(message);
        }
    }
}
