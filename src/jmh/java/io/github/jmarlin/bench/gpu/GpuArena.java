package io.github.jmarlin.bench.gpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.bench.Arena;
import io.github.jmarlin.bench.BenchCase;
import io.github.jmarlin.bench.Contenders;
import io.github.jmarlin.bench.Entrant;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.Measurement;
import io.github.jmarlin.bench.Provenance;
import io.github.jmarlin.bench.RunInfo;
import io.github.jmarlin.bench.TimingMode;
import io.github.jmarlin.cuda.Cublas;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.cublas.CublasLibrary;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.WeightShape;
import io.github.jmarlin.plan.PlanOptions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** JMarlin, cuBLAS, both together, a copy and an empty kernel on one GPU. */
public final class GpuArena implements Arena {
    private static final int FLUSH_BYTES = 256 << 20;
    /** For the dense baseline: what NVIDIA recommends for Hopper. */
    private static final long CUBLAS_BYTES = 32 << 20;

    private final Gpu gpu;
    private final NvidiaSmi smi;
    private final CublasLibrary library = CublasLibrary.load();
    private final Cublas cublas;
    private final RunInfo info;
    private final Map<String, LayerWeights> layers = new HashMap<>();

    public GpuArena(CudaDevice device) {
        gpu = new Gpu(device);
        smi = new NvidiaSmi(gpu.handle());
        cublas = library.isAvailable() ? new Cublas(gpu.engine(), gpu.stream(), CUBLAS_BYTES, Cublas.Sums.ANY) : null;
        DeviceFacts facts = device.facts();
        int cuda = CudaDriver.version();
        info = new RunInfo(device.name(), facts.isStandIn(), smi.driver(), cuda / 1000 + "."
                + cuda % 1000 / 10,
                library.description() + (cublas == null ? "" : ", version " + cublas.version()), facts.multiprocessors(),
                facts.l2Bytes(), facts.totalMemory(), Provenance.java(), Provenance.system(), Provenance.commit());
    }

    @Override
    public RunInfo info() {
        return info;
    }

    @Override
    public String state() {
        return smi.state();
    }

    @Override
    public Prepared prepare(BenchCase benchCase) {
        Attempt attempt = new Attempt(benchCase);
        try {
            switch (benchCase.subject().kind()) {
                case DEVICE -> addDevice(attempt);
                case LAYER -> addLayer(attempt);
                case BLOCK -> addBlock(attempt);
            }
            return attempt.prepared();
        } catch (RuntimeException e) {
            attempt.closeAfter(e);
            throw e;
        }
    }

    private void addDevice(Attempt attempt) {
        attempt.add(Contenders.EMPTY, 0, () -> DeviceContenders.empty(gpu));
        if (attempt.mode() == TimingMode.GRAPH) {
            attempt.add(Contenders.COPY, 0, () -> DeviceContenders.copy(gpu));
        }
    }

    private void addLayer(Attempt attempt) {
        LayerWeights layer = weights(attempt.benchCase).get(0);
        int m = attempt.benchCase.subject().m();
        List<Integer> groupSizes = attempt.benchCase.groupSizes();
        for (int groupSize : groupSizes) {
            addKernels(attempt, layer, WeightForm.int4(groupSize, false), m);
            attempt.benchCase.kinds().forEach(kind -> addKernels(attempt, layer, kind.form(groupSize), m));
        }
        attempt.addCublas(Contenders.CUBLAS, 0, () -> new CublasContender(cublas, layer, groupSizes.get(0), m,
                Activations.slots(gpu, 2.0 * layer.shape().weights())));
        if (attempt.benchCase.allows(KernelFamily.DENSE)) {
            attempt.addCublas(Contenders.DEQUANTIZE_CUBLAS, groupSizes.get(0),
                    () -> new JMarlinContender(gpu, layer, WeightForm.int4(groupSizes.get(0), false), m,
                            PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE), slots(layer, WeightForm.int4(groupSizes.get(0), false))));
        }
    }

    private void addKernels(Attempt attempt, LayerWeights layer, WeightForm form, int m) {
        for (PlanOptions options : attempt.benchCase.everyKernel() ? everyTile(attempt.benchCase, form) : choices(attempt.benchCase, form)) {
            attempt.add(Contenders.JMARLIN, form.groupSize(), () -> new JMarlinContender(gpu, layer, form, m, options, slots(layer, form)));
        }
    }

    private int slots(LayerWeights layer, WeightForm form) {
        return Activations.slots(gpu, layer.packed(form).byteSize());
    }

    /** What the planner chooses, and the Hopper kernel, which it may not choose by itself; or the families asked for, and no other. */
    private List<PlanOptions> choices(BenchCase benchCase, WeightForm form) {
        List<PlanOptions> options = new ArrayList<>();
        if (benchCase.families().isEmpty()) {
            options.add(PlanOptions.DEFAULT);
        } else if (benchCase.allows(KernelFamily.STRIPED)) {
            options.add(PlanOptions.DEFAULT.withFamily(KernelFamily.STRIPED));
        }
        if (runsHopper(benchCase, form)) {
            options.add(PlanOptions.DEFAULT.withFamily(KernelFamily.HOPPER));
        }
        return options;
    }

    private boolean runsHopper(BenchCase benchCase, WeightForm form) {
        return gpu.device().facts().computeCapability() == 90 && benchCase.allows(KernelFamily.HOPPER)
                && new Kernels(KernelFamily.HOPPER, KernelSet.of(form)).exist();
    }

    /** Besides, every tile that fits the device. */
    private List<PlanOptions> everyTile(BenchCase benchCase, WeightForm form) {
        List<PlanOptions> options = choices(benchCase, form);
        LayerShape layer = benchCase.layers().get(0);
        WeightShape weights = new WeightShape(layer.k(), layer.n(), benchCase.subject().type(), form);
        int shared = gpu.device().facts().sharedMemoryPerBlockOptin();
        if (benchCase.allows(KernelFamily.STRIPED)) {
            KernelSet.of(form).allTiles().stream().filter(tile -> tile.isFor(gpu.device().facts())
                    && tile.stagesFitting(weights, shared) >= TileShape.MIN_STAGES).forEach(tile -> options.add(PlanOptions.DEFAULT.withTile(tile)));
        }
        if (runsHopper(benchCase, form)) {
            weights.hopperTiles().forEach(tile -> options.add(PlanOptions.DEFAULT.withHopperTile(tile)));
        }
        return options;
    }

    private void addBlock(Attempt attempt) {
        List<LayerWeights> block = weights(attempt.benchCase);
        int m = attempt.benchCase.subject().m();
        double dense = block.stream().mapToDouble(layer -> 2.0 * layer.shape().weights()).sum();
        for (int groupSize : attempt.benchCase.groupSizes()) {
            int slots = Activations.slots(gpu, block.stream().mapToDouble(layer -> layer.packed(WeightForm.int4(groupSize, false)).byteSize()).sum());
            for (PlanOptions options : choices(attempt.benchCase, WeightForm.int4(groupSize, false))) {
                String name = JMarlinContender.name(options);
                attempt.add(name, groupSize, () -> chain(block, name, options, groupSize, m, slots, true));
            }
            if (attempt.benchCase.families().isEmpty()) {
                attempt.add(Contenders.JMARLIN_NO_PREFETCH, groupSize,
                        () -> chain(block, Contenders.JMARLIN_NO_PREFETCH, PlanOptions.DEFAULT, groupSize, m, slots, false));
            }
        }
        int groupSize = attempt.benchCase.groupSizes().get(0);
        attempt.addCublas(Contenders.CUBLAS, 0, () -> new ChainContender(Contenders.CUBLAS,
                Building.all(block, layer -> new CublasContender(cublas, layer, groupSize, m, Activations.slots(gpu, dense)))));
    }

    private GpuContender chain(List<LayerWeights> block, String name, PlanOptions options, int groupSize, int m, int slots,
            boolean prefetch) {
        List<JMarlinContender> links = Building.all(block,
                layer -> new JMarlinContender(gpu, layer, WeightForm.int4(groupSize, false), m, options, slots));
        if (prefetch) {
            ChainContender.linkPrefetches(links);
        }
        return new ChainContender(name, links);
    }

    /** The weights of a case's layers; those of earlier cases that it does not need make room. */
    private List<LayerWeights> weights(BenchCase benchCase) {
        DataType type = benchCase.subject().type();
        List<String> wanted = benchCase.layers().stream().map(layer -> layer.size() + type).toList();
        layers.entrySet().removeIf(entry -> {
            boolean unwanted = !wanted.contains(entry.getKey());
            if (unwanted) {
                entry.getValue().close();
            }
            return unwanted;
        });
        List<LayerWeights> weights = new ArrayList<>();
        for (LayerShape layer : benchCase.layers()) {
            weights.add(layers.computeIfAbsent(layer.size() + type, key -> new LayerWeights(gpu, layer, type)));
        }
        return weights;
    }

    @Override
    public void close() {
        layers.values().forEach(LayerWeights::close);
        if (cublas != null) {
            cublas.close();
        }
        gpu.close();
    }

    /** The contenders of one case, made ready one by one; those that cannot be are skipped with the reason. */
    private final class Attempt {
        private final BenchCase benchCase;
        private final List<GpuContender> contenders = new ArrayList<>();
        private final List<Timer> timers = new ArrayList<>();
        private final List<Measurement> skipped = new ArrayList<>();
        private DeviceBuffer flush;

        Attempt(BenchCase benchCase) {
            this.benchCase = benchCase;
            if (benchCase.mode() == TimingMode.HOST) {
                throw new IllegalArgumentException("mode host is for CPUs: " + benchCase.text());
            }
        }

        TimingMode mode() {
            return benchCase.mode();
        }

        void add(String name, int groupSize, Supplier<GpuContender> contender) {
            try {
                if (mode() == TimingMode.FLUSHED && flush == null) {
                    flush = gpu.allocate(FLUSH_BYTES, "flushing the L2 cache");
                }
                contenders.add(contender.get());
            } catch (DeviceOutOfMemoryException e) {
                skip(name, groupSize, e.getMessage());
            }
        }

        void addCublas(String name, int groupSize, Supplier<GpuContender> contender) {
            if (cublas == null) {
                skip(name, groupSize, "no cuBLAS: " + library.description());
            } else {
                add(name, groupSize, contender);
            }
        }

        private void skip(String name, int groupSize, String why) {
            skipped.add(Measurement.skipped(benchCase.subject(), mode(), name, groupSize, why));
        }

        Prepared prepared() {
            List<Entrant> entrants = new ArrayList<>();
            for (GpuContender contender : contenders) {
                GpuContender.Verdict verdict = check(contender);
                Timer timer = new Timer(gpu, contender, mode(), flush);
                timers.add(timer);
                entrants.add(new Entrant(contender.name(), contender.groupSize(), contender.bytes(), contender.flops(),
                        verdict == null ? null : verdict.error(), verdict == null ? null : verdict.bound(), timer));
                if (contender.name().equals(Contenders.EMPTY) && mode() == TimingMode.STREAM) {
                    entrants.add(new Entrant(Contenders.HOST_LAUNCH, 0, 0, 0, null, null, timer::hostMicros));
                }
            }
            return new Prepared(entrants, skipped, this::close);
        }

        /** Whoever takes the device down is named. */
        private GpuContender.Verdict check(GpuContender contender) {
            try {
                return contender.check();
            } catch (RuntimeException e) {
                throw new IllegalStateException(contender.name() + ", " + benchCase.text() + ": " + e.getMessage(), e);
            }
        }

        /** Of a device that is lost nothing can be freed, and the first error is the one to tell. */
        void closeAfter(RuntimeException failure) {
            try {
                close();
            } catch (RuntimeException e) {
                failure.addSuppressed(e);
            }
        }

        void close() {
            timers.forEach(Timer::close);
            contenders.forEach(GpuContender::close);
            if (flush != null) {
                flush.close();
            }
        }
    }
}
