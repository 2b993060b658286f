package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.DeviceOutOfMemoryException;
import java.nio.ByteBuffer;
import java.util.Objects;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;

/**
 * Device memory, aligned to 256 bytes. Its address is fixed and may be given to any kernel; the copies here are for set-up and
 * tests and wait until they are done.
 */
public final class DeviceBuffer implements AutoCloseable {
    private final CudaEngine engine;
    private final long bytes;
    private final String purpose;
    private final CUdeviceptr pointer = new CUdeviceptr();
    private final Cuda.Resource allocation;
    private final long address;
    private final Holders holders;

    DeviceBuffer(CudaEngine engine, long bytes, String purpose) {
        this.engine = engine;
        this.bytes = bytes;
        this.purpose = Objects.requireNonNull(purpose, "purpose");
        if (bytes < 1) {
            throw new IllegalArgumentException("device memory of " + bytes + " bytes for " + purpose + ": must be positive");
        }
        holders = new Holders("device memory of " + bytes + " bytes for " + purpose);
        engine.holders().acquire();
        try {
            allocation = engine.inContext(this::allocate);
        } catch (Throwable e) {
            engine.holders().release();
            throw e;
        }
        address = Address.of(pointer);
    }

    private Cuda.Resource allocate() {
        int code = Cuda.code(() -> cuMemAlloc(pointer, bytes));
        if (code == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            long[] free = new long[1];
            Cuda.call("cuMemGetInfo", () -> cuMemGetInfo(free, new long[1]));
            throw new DeviceOutOfMemoryException(engine.device().name(), purpose, bytes, free[0]);
        }
        if (code != CUresult.CUDA_SUCCESS) {
            throw Cuda.failure("cuMemAlloc", code, bytes + " bytes for " + purpose);
        }
        return () -> Cuda.call("cuMemFree", () -> cuMemFree(pointer));
    }

    /** Size in bytes. */
    public long size() {
        return bytes;
    }

    /** The device address, as kernels take it. */
    public long address() {
        holders.checkOpen();
        return address;
    }

    /** The device address, as JCuda takes it. */
    public CUdeviceptr pointer() {
        holders.checkOpen();
        return pointer;
    }

    /**
     * Copies the remaining bytes of a host buffer to {@code offset} and waits for that; the buffer's position stays. Direct
     * memory is read where it is.
     */
    public void upload(long offset, ByteBuffer source) {
        copy("upload", offset, source.remaining(), () -> {
            ByteBuffer from = source.isDirect() ? source.slice() : direct(source);
            Cuda.call("cuMemcpyHtoD", () -> cuMemcpyHtoD(Address.device(address + offset), Pointer.to(from), from.remaining()));
            // NOTES: from pageable memory the copy may return while the last of it is still under way to the device, and a stream
            // that does not wait for the default stream would see old bytes.
            Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(new CUstream()));
        });
    }

    /**
     * As {@link #upload(long, ByteBuffer)} from any address of host memory, for instance of a MemorySegment beyond 2 GiB; it is not
     * checked that the bytes are there.
     */
    public void upload(long offset, long hostAddress, long bytes) {
        if (hostAddress == 0 && bytes != 0) {
            throw new IllegalArgumentException("upload of " + bytes + " bytes from host address 0");
        }
        copy("upload", offset, bytes, () -> {
            Cuda.call("cuMemcpyHtoD", () -> cuMemcpyHtoD(Address.device(address + offset), Address.host(hostAddress), bytes));
            Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(new CUstream()));    // as above
        });
    }

    /**
     * Fills the remaining bytes of a host buffer from {@code offset}; its position stays. Work of other streams is not waited
     * for.
     */
    public void download(long offset, ByteBuffer target) {
        copy("download", offset, target.remaining(), () -> {
            ByteBuffer to = target.isDirect() ? target.slice() : ByteBuffer.allocateDirect(target.remaining());
            Cuda.call("cuMemcpyDtoH", () -> cuMemcpyDtoH(Pointer.to(to), Address.device(address + offset), to.remaining()));
            if (!target.isDirect()) {
                target.duplicate().put(to);
            }
        });
    }

    private void copy(String what, long offset, long length, Runnable action) {
        if (offset < 0 || length < 0 || offset > bytes - length) {
            throw new IllegalArgumentException(what + " of " + length + " bytes at offset " + offset
                    + " does not lie inside device memory of " + bytes + " bytes for " + purpose);
        }
        holders.acquire();
        try {
            if (length > 0) {
                engine.runInContext(action);
            }
        } finally {
            holders.release();
        }
    }

    private static ByteBuffer direct(ByteBuffer source) {
        return ByteBuffer.allocateDirect(source.remaining()).put(source.duplicate()).flip();
    }

    /** Frees the memory; waits for kernels that use it. A second call does nothing. */
    @Override
    public void close() {
        if (holders.close()) {
            try {
                engine.runInContext(allocation::close);
            } finally {
                engine.holders().release();
            }
        }
    }
}
