package io.github.jmarlin.cuda;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import java.util.Optional;

/**
 * A GPU. Found by {@link CudaDriver#devices}. Layers placed on it share its primary context (the one the CUDA runtime uses too)
 * and one loaded copy of the kernels, held from the first layer to the close of the last. Safe for any number of threads.
 */
public final class CudaDevice implements ComputeDevice {
    private final int ordinal;
    private final DeviceFacts facts;
    private CudaEngine engine;
    private int layers;

    CudaDevice(int ordinal, DeviceFacts facts) {
        this.ordinal = ordinal;
        this.facts = facts;
    }

    /** The number CUDA knows it by. */
    public int ordinal() {
        return ordinal;
    }

    /** What the driver says about it. */
    public DeviceFacts facts() {
        return facts;
    }

    /** Why this copy of the library has no kernels for the device; empty if it has. */
    public Optional<String> missingKernels() {
        try {
            KernelImages.load(ImageFamily.STRIPED.firstModule(), facts);
            return Optional.empty();
        } catch (KernelImageException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * Why products cannot run through a family's kernels here; empty if they can. The first question after {@link KernelFamily#DENSE}
     * loads cuBLAS.
     */
    public Optional<String> missing(KernelFamily family) {
        if (family == KernelFamily.DENSE) {
            return Optional.of(DenseProduct.missing(facts)).filter(why -> !why.isEmpty());
        }
        ImageFamily images = ImageFamily.valueOf(family.name());
        return KernelImages.exists(images.firstModule(), facts) ? Optional.empty()
                : Optional.of("no image of " + images.folder() + " kernels for " + facts);
    }

    @Override
    public String name() {
        return facts.name();
    }

    @Override
    public String kind() {
        return "cuda";
    }

    /**
     * Copies the weights to the device; they may be closed afterwards.
     *
     * @throws DeviceOutOfMemoryException if they do not fit
     */
    @Override
    public CudaLinear place(PackedWeights weights) {
        return place(weights, PlanOptions.DEFAULT);
    }

    /** As {@link #place(PackedWeights)}, with a say in how products run. */
    public CudaLinear place(PackedWeights weights, PlanOptions options) {
        CudaEngine shared = enter();
        try {
            return new CudaLinear(this, shared, weights, options);
        } catch (Throwable e) {
            leave();
            throw e;
        }
    }

    private synchronized CudaEngine enter() {
        if (layers == 0) {
            engine = CudaEngine.ofPrimaryContext(this);
        }
        layers++;
        return engine;
    }

    /** A layer is gone; the last one takes the kernels with it. */
    synchronized void leave() {
        layers--;
        if (layers == 0) {
            CudaEngine last = engine;
            engine = null;
            last.close();
        }
    }

    @Override
    public String toString() {
        return "CUDA device " + ordinal + ", " + facts;
    }
}
