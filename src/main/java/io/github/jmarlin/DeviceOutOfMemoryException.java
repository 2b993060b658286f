package io.github.jmarlin;

/** A device has too little free memory. */
public final class DeviceOutOfMemoryException extends JMarlinException {
    private static final long serialVersionUID = 1L;

    private final long askedBytes;
    private final long freeBytes;

    /**
     * @param device its name
     * @param purpose what the memory was for
     * @param askedBytes how much was asked for
     * @param freeBytes how much was free then
     */
    public DeviceOutOfMemoryException(String device, String purpose, long askedBytes, long freeBytes) {
        super(device + " is out of memory: " + askedBytes + " bytes asked for " + purpose + ", " + freeBytes + " bytes free");
        this.askedBytes = askedBytes;
        this.freeBytes = freeBytes;
    }

    /** How many bytes were asked for. */
    public long askedBytes() {
        return askedBytes;
    }

    /** How many bytes were free then. */
    public long freeBytes() {
        return freeBytes;
    }
}
