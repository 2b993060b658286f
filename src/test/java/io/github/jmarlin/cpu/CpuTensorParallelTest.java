package io.github.jmarlin.cpu;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.TensorParallelTest;

/** Shards on the processor. */
class CpuTensorParallelTest extends TensorParallelTest {
    private final CpuDevice device = new CpuDevice(2);

    @Override
    protected ComputeDevice device(int rank) {
        return device;
    }
}
