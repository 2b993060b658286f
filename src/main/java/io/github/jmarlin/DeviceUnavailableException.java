package io.github.jmarlin;

/** A device cannot be used: there is no driver, or it is older than what the kernels need. The cause, if any, says why. */
public final class DeviceUnavailableException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    /** @param message which device, and what it lacks */
    public DeviceUnavailableException(String message) {
        super(message);
    }

    /**
     * @param message which device, and what it lacks
     * @param cause what was met when it was tried
     */
    public DeviceUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
