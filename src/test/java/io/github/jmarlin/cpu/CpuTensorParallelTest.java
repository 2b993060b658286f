package io.github.jmarlin.cpu;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.TensorParallelContractTest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

/** Ranks on the processor: each with threads of its own, or all in one. */
class CpuTensorParallelTest extends TensorParallelContractTest {
    private final List<CpuDevice> open = new ArrayList<>();

    @AfterEach
    void closeDevices() {
        open.forEach(CpuDevice::close);
    }

    private CpuDevice device(int threads) {
        CpuDevice device = new CpuDevice(threads);
        open.add(device);
        return device;
    }

    @Override
    protected List<ComputeDevice> devices(int ranks) {
        List<ComputeDevice> devices = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
            devices.add(device(1 + rank % 3));
        }
        return devices;
    }

    @Override
    protected List<ComputeDevice> otherDevices(int ranks) {
        return Collections.nCopies(ranks, device(2));
    }
}
