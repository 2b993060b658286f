package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/**
 * The one argument of a kernel in native memory, behind the table of addresses that the driver wants. JCuda hands the raw address
 * on, which costs nothing; see {@code cuda.LaunchBlock}. The driver copies the argument before a launch returns.
 */
final class ParameterBlock implements AutoCloseable {
    private static final int TABLE = 16;

    private final Pointer owner = new Pointer();
    private final Pointer table;
    private final ByteBuffer argument;

    /** Opens JCuda's protected address. */
    private static final class Raw extends Pointer {
        Raw(Pointer other) {
            super(other);
        }

        Raw(long address) {
            super(address);
        }

        long address() {
            return getNativePointer() + getByteOffset();
        }
    }

    /** @param bytes of the argument */
    ParameterBlock(int bytes) {
        Gpu.check("cuMemHostAlloc", cuMemHostAlloc(owner, TABLE + Math.max(8, bytes), 0));
        long address = new Raw(owner).address();
        table = new Raw(address);
        ByteBuffer memory = owner.getByteBuffer(0, TABLE + Math.max(8, bytes)).order(ByteOrder.nativeOrder());
        memory.putLong(0, address + TABLE);
        argument = memory.slice(TABLE, Math.max(8, bytes)).order(ByteOrder.nativeOrder());
    }

    /** The argument's bytes, to be written at absolute positions. */
    ByteBuffer argument() {
        return argument;
    }

    void launch(CUfunction function, int grid, int threads, CUstream stream) {
        Gpu.check("cuLaunchKernel", cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, 0, stream, table, null));
    }

    @Override
    public void close() {
        Gpu.check("cuMemFreeHost", cuMemFreeHost(owner));
    }
}
