package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.HostOperands;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.GemmPlan;
import io.github.jmarlin.plan.PlanOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.ShortBuffer;
import jcuda.Pointer;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;

/**
 * A layer on a GPU with operands in host memory: copies the activations up, puts them in order for act-ordered weights,
 * multiplies, copies the result down, waits. Made by {@link CudaDevice#place(PackedWeights)}. Device and staging memory grow to
 * what the largest product so far needed, at most {@value #ROWS_AT_ONCE} rows, and stay. Threads take turns.
 *
 * <p>Each layer has a workspace of its own. Where a product goes by way of dense weights ({@link io.github.jmarlin.plan.KernelFamily#DENSE},
 * asked for or measured by {@code jmarlin tune}), every layer keeps those, too: four times the memory of the packed ones.
 *
 * <p>This is for convenience; an engine that keeps activations on the device uses {@link CudaGemm}.
 */
public final class CudaLinear implements LinearLayer {
    /** Rows that are on the device at a time. */
    static final int ROWS_AT_ONCE = 1024;

    private final CudaDevice device;
    private final CudaEngine engine;
    private final DeviceWeights weights;
    private final CudaGemm gemm;
    private final CUstream stream = new CUstream();
    private final Cuda.Resource madeStream;
    private final InputGather gather;
    private final Holders users;
    private Operands operands;

    CudaLinear(CudaDevice device, CudaEngine engine, PackedWeights packed, PlanOptions options) {
        this.device = device;
        this.engine = engine;
        weights = engine.upload(packed);
        try {
            gemm = weights.gatheredGemm(options);
            gather = weights.hasInputOrder() ? weights.inputGather() : null;
            users = new Holders("layer " + weights);
            madeStream = engine.inContext(() -> {
                Cuda.call("cuStreamCreate", () -> cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
                return () -> Cuda.call("cuStreamDestroy", () -> cuStreamDestroy(stream));
            });
        } catch (Throwable e) {
            Cuda.closeAfter(e, weights);
            throw e;
        }
    }

    @Override
    public int k() {
        return weights.shape().k();
    }

    @Override
    public int n() {
        return weights.shape().n();
    }

    @Override
    public DataType computeType() {
        return weights.shape().computeType();
    }

    @Override
    public WeightForm form() {
        return weights.shape().form();
    }

    @Override
    public boolean supports(DataType type) {
        return type == computeType();
    }

    /** How m rows are multiplied and why; print it for a person. */
    public GemmPlan plan(long m) {
        return gemm.plan(Math.min(m, ROWS_AT_ONCE));
    }

    /**
     * {@inheritDoc}
     *
     * @throws DeviceOutOfMemoryException if the operands do not fit the device
     */
    @Override
    public void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c, Epilogue epilogue) {
        HostOperands.check(this, type, a, m, c, epilogue);
        users.acquire();
        try {
            if (m > 0) {
                multiplyInTurn(a, m, c, epilogue);
            }
        } finally {
            users.release();
        }
    }

    private synchronized void multiplyInTurn(ByteBuffer a, long m, ByteBuffer c, Epilogue epilogue) {
        int rowBytesA = k() * Short.BYTES;
        int rowBytesC = epilogue.outputColumns(n()) * epilogue.outputType(computeType()).bytes();
        reserve((int) Math.min(m, ROWS_AT_ONCE), rowBytesC);
        engine.runInContext(() -> {
            for (long row = 0; row < m; row += ROWS_AT_ONCE) {
                int rows = (int) Math.min(m - row, ROWS_AT_ONCE);
                ByteBuffer outputs = slice(c, row, rows, rowBytesC);
                ByteBuffer residual = switch (epilogue.residual()) {
                    case OUTPUT -> outputs;
                    case HOST -> slice(epilogue.residualRows(), row, rows, rowBytesC);
                    case NONE, DEVICE -> null;
                };
                ByteBuffer factors = epilogue.hasRowFactors() ? slice(epilogue.rowFactors(), row, rows, Float.BYTES) : null;
                operands.multiply(slice(a, row, rows, rowBytesA), rows, outputs, residual, factors, epilogue);
            }
        });
    }

    private static ByteBuffer slice(ByteBuffer buffer, long row, int rows, int rowBytes) {
        return buffer.slice(buffer.position() + Math.toIntExact(row * rowBytes), rows * rowBytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void reserve(int rows, int rowBytesC) {
        if (operands == null || operands.rows < rows || operands.rowBytesC < rowBytesC) {
            int mostRows = rows;
            int mostBytes = rowBytesC;
            if (operands != null) {
                mostRows = Math.max(rows, operands.rows);
                mostBytes = Math.max(rowBytesC, operands.rowBytesC);
                Operands small = operands;
                operands = null;
                small.close();
            }
            operands = new Operands(mostRows, mostBytes);
        }
    }

    /** Device buffers, staging memory and workspace for up to {@code rows} rows, those of C of {@code rowBytesC} bytes. */
    private final class Operands implements AutoCloseable {
        private final int rows;
        private final int rowBytesC;
        private final int lda = (k() + 7) / 8 * 8;
        private final ByteBuffer stagedA;
        private final ByteBuffer stagedC;
        private final ByteBuffer stagedFactors;
        private final DeviceBuffer a;
        private final DeviceBuffer gathered;
        private final DeviceBuffer c;
        private final DeviceBuffer rowFactors;
        private final Workspace workspace;

        Operands(int rows, int rowBytesC) {
            this.rows = rows;
            this.rowBytesC = rowBytesC;
            stagedA = direct(Math.multiplyExact(rows, lda * Short.BYTES));
            stagedC = direct(Math.multiplyExact(rows, rowBytesC));
            stagedFactors = direct(rows * Float.BYTES);
            DeviceBuffer newA = null;
            DeviceBuffer newGathered = null;
            DeviceBuffer newC = null;
            DeviceBuffer newFactors = null;
            try {
                newA = engine.allocate(stagedA.capacity(), "activations");
                newGathered = gather == null ? null : engine.allocate(stagedA.capacity(), "gathered activations");
                newC = engine.allocate(stagedC.capacity(), "outputs");
                newFactors = engine.allocate(stagedFactors.capacity(), "row factors");
                workspace = engine.newWorkspace(stream, gemm.workspaceFor(rows));
            } catch (Throwable e) {
                Cuda.closeAfter(e, newFactors, newC, newGathered, newA);
                throw e;
            }
            a = newA;
            gathered = newGathered;
            c = newC;
            rowFactors = newFactors;
        }

        private static ByteBuffer direct(int bytes) {
            return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        }

        /** @param residual what is added, null for nothing; it goes where C will be */
        void multiply(ByteBuffer hostA, int m, ByteBuffer hostC, ByteBuffer residual, ByteBuffer factors, Epilogue epilogue) {
            stage(hostA, m);
            upload(stagedA, a, m * lda * Short.BYTES);
            Epilogue onDevice = epilogue;
            if (residual != null) {
                stagedC.put(0, residual, 0, residual.remaining());
                upload(stagedC, c, residual.remaining());
                onDevice = onDevice.withAccumulation();
            }
            if (factors != null) {
                stagedFactors.put(0, factors, 0, factors.remaining());
                upload(stagedFactors, rowFactors, factors.remaining());
                onDevice = onDevice.withRowFactors(rowFactors.address());
            }
            DeviceBuffer ordered = a;
            if (gather != null) {
                gather.launch(a.address(), lda, gathered.address(), lda, m, workspace);
                ordered = gathered;
            }
            gemm.launch(ordered.address(), lda, c.address(), epilogue.outputColumns(n()), m, onDevice, workspace, null);
            Cuda.call("cuMemcpyDtoHAsync", () -> cuMemcpyDtoHAsync(Pointer.to(stagedC), c.pointer(), hostC.remaining(), stream));
            Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(stream));
            hostC.put(0, stagedC, 0, hostC.remaining());
        }

        private void upload(ByteBuffer staged, DeviceBuffer to, long bytes) {
            Cuda.call("cuMemcpyHtoDAsync", () -> cuMemcpyHtoDAsync(to.pointer(), Pointer.to(staged), bytes, stream));
        }

        /** Rows of A at their padded stride. */
        private void stage(ByteBuffer hostA, int m) {
            ShortBuffer from = hostA.asShortBuffer();
            ShortBuffer to = stagedA.asShortBuffer();
            for (int row = 0; row < m; row++) {
                to.put(row * lda, from, row * k(), k());
            }
        }

        @Override
        public void close() {
            Cuda.closeAll(workspace, rowFactors, c, gathered, a);
        }
    }

    /**
     * Frees the device memory. A second call does nothing.
     *
     * @throws IllegalStateException while a product runs
     */
    @Override
    public void close() {
        if (users.close()) {
            try {
                Cuda.closeAll(operands, () -> engine.runInContext(madeStream::close), weights);
            } finally {
                device.leave();
            }
        }
    }

    @Override
    public String toString() {
        return "layer " + weights;
    }
}
