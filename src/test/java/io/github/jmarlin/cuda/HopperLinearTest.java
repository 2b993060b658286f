package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.plan.KernelFamily;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;

/** The contract of every device, by the Hopper kernel. */
@Tag("hopper")
class HopperLinearTest extends CudaLinearTest {

    @BeforeAll
    void needsHopper() {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver::unavailableReason);
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.facts().computeCapability() == 90, () -> "the Hopper kernel needs compute capability 9.0: " + device);
    }

    @Override
    protected KernelFamily family() {
        return KernelFamily.HOPPER;
    }

    @Override
    protected ComputeDevice device() {
        return asked(family());
    }
}
