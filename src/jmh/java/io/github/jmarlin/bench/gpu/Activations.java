package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.AnswerCheck;
import io.github.jmarlin.bench.Operands;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.layout.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUdeviceptr;

/** Copies of the activations and outputs of one product; contenders may share them. */
final class Activations implements AutoCloseable {
    private static final int ELEMENT = 2;

    private final Gpu gpu;
    private final int m;
    private final int k;
    private final int n;
    private final DataType type;
    private final long lda;
    private final List<DeviceBuffer> inputs = new ArrayList<>();
    private final List<DeviceBuffer> outputs = new ArrayList<>();

    /** @param rows of {@link Operands#activations} */
    Activations(Gpu gpu, float[] rows, int m, int k, int n, DataType type) {
        this.gpu = gpu;
        this.m = m;
        this.k = k;
        this.n = n;
        this.type = type;
        lda = (k + 7L) / 8 * 8;
        try {
            int slots = slots(gpu, bytes());
            for (int slot = 0; slot < slots; slot++) {
                inputs.add(gpu.allocate(m * lda * ELEMENT, "activations"));
                outputs.add(gpu.allocate((long) m * n * ELEMENT, "outputs"));
            }
            fill(rows);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** How many copies of so many bytes do not fit the L2 cache three times over. */
    static int slots(Gpu gpu, double bytes) {
        long l2 = gpu.device().facts().l2Bytes();
        return (int) Math.max(2, Math.ceil(3.0 * l2 / bytes));
    }

    /** The least bytes of activations and outputs. */
    double bytes() {
        return (double) ELEMENT * m * (k + n);
    }

    /** The distinct rows come from the host; the rest are copies of them. */
    private void fill(float[] rows) {
        int distinct = Math.min(m, Operands.DISTINCT_ROWS);
        ByteBuffer host = ByteBuffer.allocateDirect(Math.toIntExact(distinct * lda * ELEMENT)).order(ByteOrder.LITTLE_ENDIAN);
        for (int row = 0; row < distinct; row++) {
            host.position((int) (row * lda * ELEMENT));
            Operands.put(host, type, rows, row, k);
        }
        host.position(0);
        for (DeviceBuffer input : inputs) {
            input.upload(0, host);
            for (long filled = host.capacity(); filled < input.size(); filled *= 2) {
                CUdeviceptr target = input.pointer().withByteOffset(filled);
                Gpu.check("cuMemcpyDtoDAsync", cuMemcpyDtoDAsync(target, input.pointer(), Math.min(filled, input.size() - filled),
                        gpu.stream()));
            }
        }
        gpu.synchronize();
    }

    long lda() {
        return lda;
    }

    DeviceBuffer input(int slot) {
        return inputs.get(slot % inputs.size());
    }

    DeviceBuffer output(int slot) {
        return outputs.get(slot % outputs.size());
    }

    /** Fills the first output with NaN, runs, and compares. */
    double error(AnswerCheck check, Runnable product) {
        DeviceBuffer output = output(0);
        Gpu.check("cuMemsetD8Async", cuMemsetD8Async(output.pointer(), (byte) 0xff, output.size(), gpu.stream()));
        product.run();
        gpu.synchronize();
        Map<Integer, ByteBuffer> rows = new HashMap<>();
        for (int row : check.rows()) {
            ByteBuffer values = ByteBuffer.allocateDirect(n * ELEMENT).order(ByteOrder.LITTLE_ENDIAN);
            output.download((long) row * n * ELEMENT, values);
            rows.put(row, values);
        }
        return check.error((row, column) -> HalfFloats.decode(type, rows.get(row).getShort(column * ELEMENT)));
    }

    @Override
    public void close() {
        inputs.forEach(DeviceBuffer::close);
        outputs.forEach(DeviceBuffer::close);
    }
}
