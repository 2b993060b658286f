package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;

import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.cuda.DeviceBuffer;
import jcuda.driver.CUfunction;

/** The two that do not multiply: their times are the device's own limits. */
final class DeviceContenders {
    private DeviceContenders() {
    }

    /** A copy within the device's memory, several times larger than the L2 cache. */
    static GpuContender copy(Gpu gpu) {
        long bytes = Math.min(1L << 30, Math.max(1 << 20, 8 * gpu.device().facts().l2Bytes()));
        DeviceBuffer from = gpu.allocate(bytes, "copy source");
        DeviceBuffer to;
        try {
            to = gpu.allocate(bytes, "copy target");
        } catch (RuntimeException e) {
            from.close();
            throw e;
        }
        return new Plain(Contenders.COPY, 2.0 * bytes,
                () -> Gpu.check("cuMemcpyDtoDAsync", cuMemcpyDtoDAsync(to.pointer(), from.pointer(), bytes, gpu.stream())),
                () -> {
                    from.close();
                    to.close();
                });
    }

    /** A kernel that does nothing. */
    static GpuContender empty(Gpu gpu) {
        CUfunction function = gpu.kernel("empty", "empty_kernel");
        ParameterBlock nothing = new ParameterBlock(0);
        return new Plain(Contenders.EMPTY, 0, () -> nothing.launch(function, 1, 32, gpu.stream()), nothing::close);
    }

    /** A contender made of actions. */
    private record Plain(String name, double bytes, Runnable action, Runnable closing) implements GpuContender {
        @Override
        public int groupSize() {
            return 0;
        }

        @Override
        public int slots() {
            return 1;
        }

        @Override
        public double flops() {
            return 0;
        }

        @Override
        public void enqueue(int slot) {
            action.run();
        }

        @Override
        public void close() {
            closing.run();
        }
    }
}
