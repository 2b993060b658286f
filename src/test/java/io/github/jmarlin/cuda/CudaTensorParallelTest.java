package io.github.jmarlin.cuda;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.TensorParallelContractTest;
import io.github.jmarlin.testing.Gpu;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;

/** Ranks on all GPUs of the first one's kind in turn, as the stand-in driver has two; or all on one. */
@Tag("gpu")
class CudaTensorParallelTest extends TensorParallelContractTest {

    @BeforeEach
    void needsADevice() {
        Gpu.first();
    }

    /** Other kinds may give other bits. */
    private static List<CudaDevice> alike() {
        CudaDevice first = Gpu.first();
        return CudaDriver.devices().stream().filter(device -> device.name().equals(first.name())
                && device.facts().multiprocessors() == first.facts().multiprocessors()).toList();
    }

    @Override
    protected List<ComputeDevice> devices(int ranks) {
        List<CudaDevice> alike = alike();
        return IntStream.range(0, ranks).mapToObj(rank -> (ComputeDevice) alike.get(rank % alike.size())).toList();
    }

    @Override
    protected List<ComputeDevice> otherDevices(int ranks) {
        List<CudaDevice> alike = alike();
        return Collections.nCopies(ranks, alike.get(alike.size() - 1));
    }
}
