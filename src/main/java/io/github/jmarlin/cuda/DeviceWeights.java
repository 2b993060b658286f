package io.github.jmarlin.cuda;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WeightShape;
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
    private final boolean hasInputOrder;
    private final DeviceBuffer codes;
    private final DeviceBuffer scales;
    private final DeviceBuffer zeros;
    private final DeviceBuffer factors;
    private final DeviceBuffer bias;
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
        DeviceBuffer[] regions = new DeviceBuffer[5];
        try {
            shape = new WeightShape(packed.k(), packed.n(), packed.groupSize(), packed.computeType(), packed.hasZeroPoints());
            hasInputOrder = packed.hasInputOrder();
            holders = new Holders("weights " + shape + " on " + engine.device().name());
            regions[0] = copy(engine, packed.codes(), "weight codes");
            regions[1] = copy(engine, packed.scales(), "weight scales");
            regions[2] = copy(engine, packed.zeros(), "weight zero points");
            regions[3] = copy(engine, packed.factors(), "weight factors");
            regions[4] = copy(engine, packed.bias(), "bias");
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
        return hasInputOrder;
    }

    /** Bytes of device memory. */
    public long deviceBytes() {
        return codes.size() + scales.size() + factors.size() + (zeros == null ? 0 : zeros.size())
                + (bias == null ? 0 : bias.size());
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
        if (hasInputOrder) {
            throw new IllegalArgumentException("weights " + shape + " have an input order: the raw call multiplies"
                    + " activations in the order of the rows; a LinearLayer puts them into that order first");
        }
        return new CudaGemm(this, options);
    }

    long codes() {
        return codesAddress;
    }

    long codeBytes() {
        return codes.size();
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
     * @throws IllegalStateException while a launch with them is being made
     */
    @Override
    public void close() {
        if (holders.close()) {
            Cuda.closeAll(codes, scales, zeros, factors, bias);
        }
    }

    @Override
    public String toString() {
        return shape + " on " + engine.device().name();
    }
}
