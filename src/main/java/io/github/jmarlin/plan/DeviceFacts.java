package io.github.jmarlin.plan;

import java.util.Locale;
import java.util.Objects;

/**
 * What the plan needs to know about a GPU; asked of the driver, or written by hand in a test.
 *
 * @param name as the driver reports it
 * @param computeMajor compute capability, the 9 of 9.0
 * @param computeMinor compute capability, the 0 of 9.0
 * @param multiprocessors number of SMs
 * @param sharedMemoryPerBlockOptin largest dynamic shared memory of one block, bytes
 * @param l2Bytes size of the L2 cache
 * @param totalMemory size of the device memory, bytes
 * @param clockKhz top SM clock; 0 if the driver does not say
 * @param memoryBytesPerSecond peak DRAM rate (transfers per second times bus width); 0 if the driver does not say
 */
public record DeviceFacts(String name, int computeMajor, int computeMinor, int multiprocessors, int sharedMemoryPerBlockOptin,
                          long l2Bytes, long totalMemory, int clockKhz, long memoryBytesPerSecond) {

    /** The oldest architecture the kernels run on: cp.async and bf16 tensor cores came with 8.0. */
    public static final int OLDEST_MAJOR = 8;

    /** How the names of the stand-in driver's devices begin. */
    private static final String STAND_IN = "Stand-in ";

    public DeviceFacts {
        Objects.requireNonNull(name, "name");
        if (computeMajor < 1 || computeMinor < 0 || multiprocessors < 1 || sharedMemoryPerBlockOptin < 1) {
            throw new IllegalArgumentException("device " + name + ": compute capability " + computeMajor + "." + computeMinor
                    + ", " + multiprocessors + " multiprocessors, " + sharedMemoryPerBlockOptin
                    + " bytes of shared memory per block: all must be positive");
        }
        if (l2Bytes < 0 || totalMemory < 0 || clockKhz < 0 || memoryBytesPerSecond < 0) {
            throw new IllegalArgumentException("device " + name + ": L2 " + l2Bytes + " bytes, memory " + totalMemory
                    + " bytes, clock " + clockKhz + " kHz, " + memoryBytesPerSecond + " bytes/s: none may be negative");
        }
    }

    /** The same with fewer SMs, as far as a plan is concerned. */
    DeviceFacts withMultiprocessors(int count) {
        return new DeviceFacts(name, computeMajor, computeMinor, count, sharedMemoryPerBlockOptin, l2Bytes, totalMemory, clockKhz,
                memoryBytesPerSecond);
    }

    /** Compute capability as one number: 80, 86, 90. */
    public int computeCapability() {
        return 10 * computeMajor + computeMinor;
    }

    /** Whether the kernels can run here: compute capability 8.0 or newer. */
    public boolean isSupported() {
        return computeMajor >= OLDEST_MAJOR;
    }

    /** Whether this is a card for players, whose tensor cores add up in fp32 at half the rate of the others' of their architecture. */
    boolean isGeForce() {
        return name.contains("GeForce");
    }

    /** Whether the tests' stand-in driver made this device up: it executes kernels on the CPU, so its times mean nothing. */
    public boolean isStandIn() {
        return name.startsWith(STAND_IN);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s (compute capability %d.%d, %d SMs, %.0f KB shared per block, %.0f MB L2, %.1f GB)",
                name, computeMajor, computeMinor, multiprocessors, sharedMemoryPerBlockOptin / 1024.0, l2Bytes / 1048576.0,
                totalMemory / 1e9);
    }
}
