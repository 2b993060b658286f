package io.github.jmarlin.cuda;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WeightShape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.Objects;

/**
 * Packed weights on a device, immutable and shared by any number of {@link CudaGemm}s, streams and threads.
 *
 * <p>Close them when no launch is being made and no graph that reads them will be launched again. Freeing waits for kernels that
 * are already under way.
 */
public final class DeviceWeights implements AutoCloseable {
    private final CudaEngine engine;
    private final WeightShape shape;
    private final DeviceBuffer codes;
    private final DeviceBuffer scales;
    private final DeviceBuffer zeros;
    private final DeviceBuffer factors;
    private final DeviceBuffer bias;
    private final DeviceBuffer inputOrder;
    private final long codesAddress;
    private final long scalesAddress;
    private final long zerosAddress;
    private final long factorsAddress;
    private final long biasAddress;
    private final Holders holders;

    DeviceWeights(CudaEngine engine, PackedWeights packed) {
        this.engine = engine;
        Objects.requireNonNull(packed, "packed weights");
        packed.acquire();
        DeviceBuffer[] regions = new DeviceBuffer[6];
        try {
            shape = new WeightShape(packed.k(), packed.n(), packed.computeType(), packed.form());
            holders = new Holders("weights " + shape + " on " + engine.device().name());
            regions[0] = copy(engine, packed.codes(), "weight codes");
            regions[1] = copy(engine, packed.scales(), "weight scales");
            regions[2] = copy(engine, packed.zeros(), "weight zero points");
            regions[3] = copy(engine, packed.factors(), "weight factors");
            regions[4] = copy(engine, packed.bias(), "bias");
            regions[5] = copy(engine, packed.inputOrder());
        } catch (Throwable e) {
            Cuda.closeAfter(e, regions);
            throw e;
        } finally {
            packed.release();
        }
        codes = regions[0];
        scales = regions[1];
        zeros = regions[2];
        factors = regions[3];
        bias = regions[4];
        inputOrder = regions[5];
        codesAddress = address(codes);
        scalesAddress = address(scales);
        zerosAddress = address(zeros);
        factorsAddress = address(factors);
        biasAddress = address(bias);
    }

    /** Straight from the region's off-heap or mapped memory, a segment at a time. */
    private static DeviceBuffer copy(CudaEngine engine, NativeMemory region, String purpose) {
        if (region == null) {
            return null;
        }
        DeviceBuffer buffer = new DeviceBuffer(engine, region.size(), purpose);
        try {
            for (long at = 0; at < region.size();) {
                int length = region.contiguous(at, region.size() - at);
                buffer.upload(at, region.slice(at, length));
                at += length;
            }
            return buffer;
        } catch (Throwable e) {
            Cuda.closeAfter(e, buffer);
            throw e;
        }
    }

    private static DeviceBuffer copy(CudaEngine engine, IntBuffer order) {
        if (order == null) {
            return null;
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(order.remaining() * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(order);
        DeviceBuffer buffer = new DeviceBuffer(engine, bytes.remaining(), "input order");
        try {
            buffer.upload(0, bytes);
            return buffer;
        } catch (Throwable e) {
            Cuda.closeAfter(e, buffer);
            throw e;
        }
    }

    private static long address(DeviceBuffer region) {
        return region == null ? 0 : region.address();
    }

    /** The engine they belong to. */
    public CudaEngine engine() {
        return engine;
    }

    /** Shape and form. */
    public WeightShape shape() {
        return shape;
    }

    /** Whether the rows multiply activations in another order than their own, see {@link PackedWeights#inputOrder}. */
    public boolean hasInputOrder() {
        return inputOrder != null;
    }

    /** Bytes of device memory. */
    public long deviceBytes() {
        return codes.size() + scales.size() + factors.size() + (zeros == null ? 0 : zeros.size())
                + (bias == null ? 0 : bias.size()) + (inputOrder == null ? 0 : inputOrder.size());
    }

    /** Products with these weights, run as the planner thinks best. */
    public CudaGemm gemm() {
        return gemm(PlanOptions.DEFAULT);
    }

    /**
     * Products with these weights.
     *
     * @throws IllegalArgumentException if the options cannot be met on this device, or the weights have an input order
     */
    public CudaGemm gemm(PlanOptions options) {
        if (hasInputOrder()) {
            throw new IllegalArgumentException("weights " + shape + " have an input order: use gatheredGemm, and inputGather to put"
                    + " the activations into that order first");
        }
        return new CudaGemm(this, options);
    }

    /**
     * Products of activations that are already in the order of these weights' rows: {@link #inputGather} of these weights, or of
     * others with the same order, put them there; or the weights have no order of their own.
     *
     * @throws IllegalArgumentException if the options cannot be met on this device
     */
    public CudaGemm gatheredGemm(PlanOptions options) {
        return new CudaGemm(this, options);
    }

    /**
     * The kernel that puts activations into the order of these weights' rows.
     *
     * @throws IllegalArgumentException if the weights have no input order
     */
    public InputGather inputGather() {
        if (!hasInputOrder()) {
            throw new IllegalArgumentException("weights " + shape + " have no input order: their rows multiply activations in"
                    + " the activations' own order");
        }
        return new InputGather(this);
    }

    /** The kernel that expands these weights into dense ones. */
    public Dequantizer dequantizer() {
        return new Dequantizer(this);
    }

    long codes() {
        return codesAddress;
    }

    long scales() {
        return scalesAddress;
    }

    /** 0 if symmetric. */
    long zeros() {
        return zerosAddress;
    }

    long factors() {
        return factorsAddress;
    }

    /** u32[k] on the device; there must be one. */
    long inputOrder() {
        return inputOrder.address();
    }

    /** 0 if there is none. */
    long bias() {
        return biasAddress;
    }

    Holders holders() {
        return holders;
    }

    /**
     * Frees the device memory. A second call does nothing.
     *
     * @throws IllegalStateException while a launch with them is being made, or a decode graph is open that reads them
     */
    @Override
    public void close() {
        if (holders.close()) {
            Cuda.closeAll(codes, scales, zeros, factors, bias, inputOrder);
        }
    }

    @Override
    public String toString() {
        return shape + " on " + engine.device().name();
    }
}
