package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;

/**
 * A stream of its own, and page-locked host memory from which and to which it copies: what a step takes from the host and gives back.
 * One thread at a time.
 */
public final class HostExchange implements AutoCloseable {
    private final CudaEngine engine;
    private final CUstream stream = new CUstream();
    private final Pointer memory = new Pointer();
    private final int bytes;
    private final Holders holders;

    HostExchange(CudaEngine engine, int bytes, String purpose) {
        this.engine = engine;
        this.bytes = bytes;
        if (bytes < 1) {
            throw new IllegalArgumentException("host memory of " + bytes + " bytes for " + purpose + ": must be positive");
        }
        holders = new Holders("host memory of " + bytes + " bytes for " + purpose);
        engine.holders().acquire();
        try {
            engine.runInContext(() -> {
                Cuda.call("cuMemHostAlloc", () -> cuMemHostAlloc(memory, bytes, 0));
                try {
                    Cuda.call("cuStreamCreate", () -> cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
                } catch (Throwable e) {
                    Cuda.closeAfter(e, () -> Cuda.call("cuMemFreeHost", () -> cuMemFreeHost(memory)));
                    throw e;
                }
            });
        } catch (Throwable e) {
            engine.holders().release();
            throw e;
        }
    }

    /** The stream. */
    public CUstream stream() {
        holders.checkOpen();
        return stream;
    }

    /** The host memory, little-endian. Must not be touched between a copy and the next {@link #await}, nor after {@link #close}. */
    public ByteBuffer memory() {
        holders.checkOpen();
        return memory.getByteBuffer(0, bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Copies the first bytes to the beginning of device memory, in the stream's order. The engine's context must be current. */
    public void upload(DeviceBuffer target, int length) {
        check("upload", target, length);
        Cuda.call("cuMemcpyHtoDAsync", () -> cuMemcpyHtoDAsync(target.pointer(), memory, length, stream));
    }

    /** Copies the beginning of device memory to the first bytes, in the stream's order. The engine's context must be current. */
    public void download(DeviceBuffer source, int length) {
        check("download", source, length);
        Cuda.call("cuMemcpyDtoHAsync", () -> cuMemcpyDtoHAsync(memory, source.pointer(), length, stream));
    }

    private void check(String what, DeviceBuffer device, int length) {
        holders.checkOpen();
        if (length < 0 || length > Math.min(bytes, device.size())) {
            throw new IllegalArgumentException(what + " of " + length + " bytes between " + bytes + " on the host and " + device.size()
                    + " on the device");
        }
    }

    /** Waits for everything in the stream. The engine's context must be current. */
    public void await() {
        holders.checkOpen();
        Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(stream));
    }

    /** Destroys the stream, whose work must have ended, and frees the memory. A second call does nothing. */
    @Override
    public void close() {
        if (holders.close()) {
            try {
                engine.runInContext(() -> Cuda.closeAll(
                        () -> Cuda.call("cuStreamDestroy", () -> cuStreamDestroy(stream)),
                        () -> Cuda.call("cuMemFreeHost", () -> cuMemFreeHost(memory))));
            } finally {
                engine.holders().release();
            }
        }
    }
}
