package io.github.jmarlin.cuda;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cuda.image.ImageHash;
import io.github.jmarlin.cuda.image.ImageStatus;
import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.plan.CheckFile;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.PlanOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
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
    private final Map<Kernels, ImageStatus> images = new HashMap<>();
    /** What this object found out itself; null before. */
    private KernelChecks checks;
    private String imageHash;

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

    /**
     * Which image of a family's kernels for 4-bit integers the driver takes; of {@link KernelFamily#DENSE} those that expand the weights.
     */
    public ImageStatus images(KernelFamily family) {
        return images(Kernels.of(family));
    }

    /**
     * Which image of some kernels the driver takes. Asked once: the first call makes the device's primary context, unless layers hold it
     * already, and has the driver load an image into it. Never throws.
     */
    public synchronized ImageStatus images(Kernels kernels) {
        if (!kernels.exist()) {
            return ImageStatus.unusable("there are no kernels " + kernels);
        }
        String module = ImageFamily.of(kernels.family()).firstModule(kernels.set());
        if (KernelImages.candidates(module, facts).isEmpty()) {
            return ImageStatus.unusable(KernelImages.missing(module, facts));
        }
        ImageStatus known = images.get(kernels);
        if (known != null) {
            return known;
        }
        try {
            CudaEngine shared = enter();
            try {
                known = shared.images(kernels);
            } finally {
                leave();
            }
        } catch (KernelImageException e) {
            known = ImageStatus.unusable(e.getMessage());
        } catch (JMarlinException e) {
            return ImageStatus.unusable(this + " does not answer: " + e.getMessage());      // it may, another time
        }
        images.put(kernels, known);
        return known;
    }

    /** Why no kernels run on the device; empty if some do. */
    public Optional<String> missingKernels() {
        return missing(KernelFamily.STRIPED);
    }

    /**
     * Why products cannot run through a family's kernels here; empty if they can. The first question after {@link KernelFamily#DENSE}
     * loads cuBLAS.
     */
    public Optional<String> missing(KernelFamily family) {
        return missing(Kernels.of(family));
    }

    /** The same of a family's kernels for other weights. */
    public Optional<String> missing(Kernels kernels) {
        if (!kernels.exist()) {
            return Optional.of("there are no kernels " + kernels);
        }
        // Weights are placed only where striped kernels can read them, see CudaEngine.upload.
        ImageStatus placing = images(kernels.family() == KernelFamily.DENSE ? new Kernels(KernelFamily.STRIPED, kernels.set()) : kernels);
        return CudaEngine.missing(kernels.family(), placing.isUsable() ? images(kernels) : placing);
    }

    /**
     * Has every kernel that a plan for this device can choose multiply layers whose answers are known, in a process of its own, so that
     * a kernel that faults or never ends costs nobody else. What came out is stored beside the tuning file, where plans of this and of
     * later processes find it: they choose the Hopper kernel, where it is predicted to be faster, only if it has passed, and never a
     * family that failed. Layers that are placed already keep their plans. Nothing is stored with {@code -Djmarlin.tuning=none}; then
     * this process alone knows.
     *
     * <p>Where no process can be started, or the time is up before all have answered, a family stays unchecked, with the reason.
     *
     * @param limit for all three families; each gets a third of it
     * @param force to ask again where all is known already; else that is returned
     * @throws IOException if what came out cannot be stored; it counts for this process all the same
     * @throws IllegalArgumentException if the limit is less than three seconds
     */
    public KernelChecks check(Duration limit, boolean force) throws IOException {
        if (limit.compareTo(KernelCheck.LEAST) < 0) {
            throw new IllegalArgumentException("limit " + limit + ": must be at least " + KernelCheck.LEAST);
        }
        KernelChecks known = checks();
        if (!force && !known.isEmpty()) {
            return known;
        }
        KernelChecks found = new KernelCheck(this).run(limit);
        synchronized (this) {
            checks = found;
        }
        Optional<Path> file = CheckFile.location(facts);
        if (file.isPresent() && !found.isEmpty()) {
            CheckFile.write(file.get(), machine(), found);
        }
        return found;
    }

    /** What {@link #check} found out on this machine, now or earlier. */
    public synchronized KernelChecks checks() {
        return checks != null ? checks : CheckFile.load(facts, this::machine);
    }

    private synchronized CheckFile.Machine machine() {
        if (imageHash == null) {
            imageHash = ImageHash.of(facts);
        }
        return new CheckFile.Machine(facts, CudaDriver.version(), imageHash);
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
     * @throws KernelImageException if no kernels run on the device, with everything that its driver refused
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
