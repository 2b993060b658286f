package io.github.jmarlin.cuda;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.TensorParallelTest;
import io.github.jmarlin.testing.Gpu;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;

/** Shards on all GPUs in turn, or the stand-in driver's devices. */
@Tag("gpu")
class CudaTensorParallelTest extends TensorParallelTest {
    @BeforeAll
    void needsADevice() {
        Gpu.first();
    }

    @Override
    protected ComputeDevice device(int rank) {
        List<CudaDevice> devices = CudaDriver.devices();
        return devices.get(rank % devices.size());
    }
}
