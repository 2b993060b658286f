package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DeviceOutOfMemoryException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.plan.PlanOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;

/**
 * Times launches with operands on the device, by CUDA events around a graph of them that is replayed: launched one by one from Java,
 * those of a few microseconds would all take as long as this thread needs. So it is what an engine pays for a decoding step, without
 * {@link CudaLinear}'s copies. Copies of the weights take turns so that each launch finds its codes in memory, not in the L2 cache.
 * One thread at a time.
 */
public final class LaunchTimer implements AutoCloseable {
    /** Bytes that must pass before the same copy of the weights has its turn again, in sizes of the L2 cache. */
    private static final int L2_SIZES = 3;
    private static final int MOST_COPIES = 64;
    private static final int LEAST_LAUNCHES = 20;
    private static final int LEAST_SAMPLES = 3;
    private static final int MOST_SAMPLES = 50;
    private static final double ENOUGH_SECONDS = 0.5;

    /**
     * What was measured.
     *
     * @param seconds of one launch, the median
     * @param notCaptured why the launches could not be captured into a graph, and were timed one by one; empty if they were captured
     */
    public record Timing(double seconds, String notCaptured) {}

    private final CudaEngine engine;
    /** What to close, the last made first. */
    private final Deque<AutoCloseable> resources = new ArrayDeque<>();
    private final List<DeviceWeights> copies = new ArrayList<>();
    private final int mostRows;
    private final int lda;
    private final int n;
    private final CUstream stream = new CUstream();
    private final CUevent begin = new CUevent();
    private final CUevent end = new CUevent();
    private final DeviceBuffer a;
    private final DeviceBuffer c;

    /**
     * @param activations {@code [mostRows][k]} of the compute type: a GPU is faster on zeros than on real numbers
     * @param mostRows the largest m that will be timed
     * @throws DeviceOutOfMemoryException if the copies and operands do not fit
     */
    public LaunchTimer(CudaDevice device, PackedWeights packed, ByteBuffer activations, int mostRows) {
        this.mostRows = mostRows;
        lda = (packed.k() + 7) / 8 * 8;
        n = packed.n();
        engine = kept(CudaEngine.ofPrimaryContext(device));
        try {
            make("cuStreamCreate", () -> cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING),
                    "cuStreamDestroy", () -> cuStreamDestroy(stream));
            make("cuEventCreate", () -> cuEventCreate(begin, CUevent_flags.CU_EVENT_DEFAULT), "cuEventDestroy", () -> cuEventDestroy(begin));
            make("cuEventCreate", () -> cuEventCreate(end, CUevent_flags.CU_EVENT_DEFAULT), "cuEventDestroy", () -> cuEventDestroy(end));
            long wanted = L2_SIZES * engine.facts().l2Bytes() / packed.byteSize() + 1;
            for (int i = 0; i < Math.min(wanted, MOST_COPIES); i++) {
                copies.add(kept(engine.upload(packed)));
            }
            a = kept(engine.allocate(2L * mostRows * lda, "activations"));
            for (int row = 0; row < mostRows; row++) {
                a.upload(2L * row * lda, activations.slice(2 * row * packed.k(), 2 * packed.k()));
            }
            c = kept(engine.allocate(2L * mostRows * n, "outputs"));
        } catch (Throwable e) {
            Cuda.closeAfter(e, resources.toArray(AutoCloseable[]::new));
            throw e;
        }
    }

    private <T extends AutoCloseable> T kept(T resource) {
        resources.push(resource);
        return resource;
    }

    private void make(String createName, Cuda.Call create, String destroyName, Cuda.Call destroy) {
        engine.runInContext(() -> Cuda.call(createName, create));
        resources.push(() -> engine.runInContext(() -> Cuda.call(destroyName, destroy)));
    }

    /** As {@link #time(int, PlanOptions)}, run as the planner thinks best. */
    public Timing time(int m) {
        return time(m, PlanOptions.DEFAULT);
    }

    /** Times launches of {@code m} rows. */
    public Timing time(int m, PlanOptions options) {
        List<CudaGemm> gemms = gemms(m, options);
        try (Workspace workspace = engine.newWorkspace(stream, gemms.get(0).workspaceFor(m))) {
            // As often one copy as another: the next sample finds them as this one did.
            int rounds = (LEAST_LAUNCHES + gemms.size() - 1) / gemms.size();
            Runnable launches = () -> {
                for (int i = 0; i < rounds; i++) {
                    gemms.forEach(gemm -> launch(gemm, m, workspace));
                }
            };
            return engine.inContext(() -> time(launches, rounds * gemms.size()));
        }
    }

    private Timing time(Runnable launches, int count) {
        CapturedGraph graph;
        try {
            graph = CapturedGraph.of(stream, launches);
        } catch (CudaCallException e) {
            try {
                return new Timing(median(launches) / count, e.getMessage());
            } catch (Throwable failure) {       // not the capture's fault, then
                failure.addSuppressed(e);
                throw failure;
            }
        }
        Timing timing;
        try {
            timing = new Timing(median(() -> engine.check("cuGraphLaunch", graph.launch(stream), count + " launches")) / count, "");
        } catch (Throwable e) {
            Cuda.closeAfter(e, this::synchronize, graph);
            throw e;
        }
        graph.close();
        return timing;
    }

    /** Median seconds on the device of what work puts into the stream. */
    private double median(Runnable work) {
        sample(work);       // unlike all others: clocks rise, a graph goes to the device
        List<Double> samples = new ArrayList<>();
        double sum = 0;
        while (samples.size() < LEAST_SAMPLES || sum < ENOUGH_SECONDS && samples.size() < MOST_SAMPLES) {
            double seconds = sample(work);
            sum += seconds;
            samples.add(seconds);
        }
        Collections.sort(samples);
        return samples.get(samples.size() / 2);
    }

    private double sample(Runnable work) {
        Cuda.call("cuEventRecord", () -> cuEventRecord(begin, stream));
        work.run();
        Cuda.call("cuEventRecord", () -> cuEventRecord(end, stream));
        Cuda.call("cuEventSynchronize", () -> cuEventSynchronize(end));
        float[] milliseconds = new float[1];
        Cuda.call("cuEventElapsedTime", () -> cuEventElapsedTime(milliseconds, begin, end));
        return milliseconds[0] * 1e-3;
    }

    private void launch(CudaGemm gemm, int m, Workspace workspace) {
        gemm.launch(a.address(), lda, c.address(), n, m, workspace);
    }

    private void synchronize() {
        Cuda.call("cuStreamSynchronize", () -> cuStreamSynchronize(stream));
    }

    /** The product itself, {@code [m][n]} of the compute type, little-endian: what is timed must also be right. */
    public ByteBuffer product(int m, PlanOptions options) {
        List<CudaGemm> gemms = gemms(m, options);
        ByteBuffer result = ByteBuffer.allocateDirect(Math.multiplyExact(2 * m, n)).order(ByteOrder.LITTLE_ENDIAN);
        while (result.hasRemaining()) {
            result.put((byte) 0xff);        // NaN in both types: a kernel that writes nothing must not inherit an answer
        }
        c.upload(0, result.flip());
        try (Workspace workspace = engine.newWorkspace(stream, gemms.get(0).workspaceFor(m))) {
            engine.runInContext(() -> {
                launch(gemms.get(0), m, workspace);
                synchronize();
            });
        }
        c.download(0, result);
        return result;
    }

    private List<CudaGemm> gemms(int m, PlanOptions options) {
        if (m < 1 || m > mostRows) {
            throw new IllegalArgumentException("m " + m + ": this timer was made for 1 to " + mostRows + " rows");
        }
        List<CudaGemm> gemms = copies.stream().map(weights -> weights.gemm(options)).toList();
        gemms.forEach(gemm -> gemm.plan(m));        // no first launch of a copy is a slow one
        return gemms;
    }

    /** Frees everything on the device. */
    @Override
    public void close() {
        AutoCloseable[] all = resources.toArray(AutoCloseable[]::new);
        resources.clear();
        Cuda.closeAll(all);
    }
}
