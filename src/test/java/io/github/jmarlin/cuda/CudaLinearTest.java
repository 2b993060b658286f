package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.MultiplyContractTest;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;

/** The contract of every device, on the GPU (or the stand-in driver with emulated kernels). */
@Tag("gpu")
class CudaLinearTest extends MultiplyContractTest {

    @BeforeAll
    void needsADevice() {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver::unavailableReason);
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.missingKernels().isEmpty(), () -> device.missingKernels().orElseThrow());
    }

    @Override
    protected ComputeDevice device() {
        return CudaDriver.devices().get(0);
    }

    @Override
    protected List<Shape> shapes() {
        return List.of(new Shape(256, 192, 128), new Shape(1, 1, 32), new Shape(63, 65, 32), new Shape(224, 70, 128),
                new Shape(320, 130, 256), new Shape(129, 260, -1));
    }
}
