package io.github.jmarlin.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;

/** The GPU of tests that need one, be it of the stand-in driver. */
public final class Gpu {
    private Gpu() {
    }

    /** The first one. Skips the test, with the reason, where there is none or no kernel for it. */
    public static CudaDevice first() {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver::unavailableReason);
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.missingKernels().isEmpty(), () -> device.missingKernels().orElseThrow());
        return device;
    }
}
