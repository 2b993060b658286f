package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.TensorParallelContractTest;
import io.github.jmarlin.testing.Gpu;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;

/** Ranks on two GPUs, or those of the stand-in driver; elsewhere all on one. */
@Tag("gpu")
class CudaTensorParallelTest extends TensorParallelContractTest {

    @BeforeEach
    void needsTwoDevices() {
        Gpu.first();
        assumeTrue(CudaDriver.devices().size() >= 2, "one device");
        assumeTrue(alike(CudaDriver.devices().get(0), CudaDriver.devices().get(1)), "devices of two kinds, whose bits may differ");
    }

    private static boolean alike(CudaDevice first, CudaDevice second) {
        return first.name().equals(second.name()) && first.facts().multiprocessors() == second.facts().multiprocessors();
    }

    @Override
    protected List<ComputeDevice> devices(int ranks) {
        return IntStream.range(0, ranks).mapToObj(rank -> (ComputeDevice) CudaDriver.devices().get(rank % 2)).toList();
    }

    @Override
    protected List<ComputeDevice> otherDevices(int ranks) {
        return Collections.nCopies(ranks, CudaDriver.devices().get(1));
    }
}
