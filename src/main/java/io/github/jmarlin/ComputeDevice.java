package io.github.jmarlin;

/** Something that multiplies: the processor this JVM runs on, or a GPU. Safe for any number of threads. */
public interface ComputeDevice {
    /** What a person calls it, for instance {@code NVIDIA H200} or {@code CPU, 2 threads}. */
    String name();

    /** What computes: {@code cpu} or {@code cuda}. */
    String kind();

    /**
     * Makes the weights usable on this device. The layer may read them in place, so they must stay open until it is closed.
     *
     * @throws DeviceOutOfMemoryException if they do not fit the device
     */
    LinearLayer place(PackedWeights weights);
}
