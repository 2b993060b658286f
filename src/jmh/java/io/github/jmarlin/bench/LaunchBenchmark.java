package io.github.jmarlin.bench;

import static jcuda.driver.JCudaDriver.cuCtxCreate;
import static jcuda.driver.JCudaDriver.cuCtxDestroy;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.CudaEngine;
import io.github.jmarlin.cuda.CudaGemm;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.cuda.DeviceWeights;
import io.github.jmarlin.cuda.Workspace;
import io.github.jmarlin.plan.PlanOptions;
import java.util.concurrent.TimeUnit;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a launch costs the calling thread: checks, plan lookup, arguments, one driver call. Run with {@code -prof gc}: no bytes
 * per launch.
 *
 * <p>On a GPU the driver's own work is included, and the device is waited for, outside the measurement, before the launch queue
 * is full. On the stand-in driver with {@code JMARLIN_STANDIN_FAST=1} no kernel runs, so that what remains is this library and
 * JCuda.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class LaunchBenchmark {
    /** Fewer than a launch queue holds. */
    private static final int LAUNCHES = 256;
    private static final int K = 512;
    private static final int N = 512;

    /** Rows. */
    @Param({"1", "16", "100"})
    public int m;

    /** Whether rows have the same bits in any batch: 100 rows are four launches then. */
    @Param({"false", "true"})
    public boolean batchInvariant;

    private final CUcontext context = new CUcontext();
    private final CUstream stream = new CUstream();
    private CudaEngine engine;
    private DeviceWeights weights;
    private CudaGemm gemm;
    private Workspace workspace;
    private Workspace rawWorkspace;
    private Epilogue epilogue;
    private DeviceBuffer a;
    private DeviceBuffer c;
    private DeviceBuffer rowFactors;

    @Setup
    public void makeProduct() {
        if (!CudaDriver.isAvailable()) {
            throw new IllegalStateException("no device to launch on: " + CudaDriver.unavailableReason());
        }
        CUdevice device = new CUdevice();
        succeed(JCudaDriver.cuDeviceGet(device, CudaDriver.devices().get(0).ordinal()));
        succeed(cuCtxCreate(context, 0, device));
        succeed(cuStreamCreate(stream, 0));
        engine = CudaEngine.ofCurrentContext();
        var builder = QuantizedMatrix.builder(K, N, 128, DataType.FP16);
        for (int group = 0; group < K / 128; group++) {
            for (int column = 0; column < N; column++) {
                builder.setScale(group, column, 0.01f);
            }
        }
        try (QuantizedMatrix matrix = builder.build(); PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            weights = engine.upload(packed);
        }
        gemm = weights.gemm(batchInvariant ? PlanOptions.DEFAULT.withBatchInvariance() : PlanOptions.DEFAULT);
        workspace = engine.newWorkspace(stream, gemm.workspaceFor(m));
        a = engine.allocate(2L * m * K, "activations");
        c = engine.allocate(2L * m * N, "outputs");
        String handle = stream.toString();      // JCuda shows it nowhere else
        rawWorkspace = engine.newWorkspace(Long.decode(handle.substring(handle.indexOf("0x"), handle.indexOf(']'))),
                gemm.workspaceFor(m));
        rowFactors = engine.allocate(4L * m, "row factors");
        epilogue = Epilogue.NONE.withAccumulation().withRowFactors(rowFactors.address());
    }

    /** Launches back to back, as a decode step does. */
    @Benchmark
    @OperationsPerInvocation(LAUNCHES)
    public void launch() {
        for (int i = 0; i < LAUNCHES; i++) {
            gemm.launch(a.address(), K, c.address(), N, m, workspace, gemm);
        }
    }

    /** The same with an epilogue, on a stream that is known as a number. */
    @Benchmark
    @OperationsPerInvocation(LAUNCHES)
    public void launchWithEpilogue() {
        for (int i = 0; i < LAUNCHES; i++) {
            gemm.launch(a.address(), K, c.address(), N, m, epilogue, rawWorkspace, gemm);
        }
    }

    @TearDown(Level.Invocation)
    public void drainTheQueue() {
        succeed(cuStreamSynchronize(stream));
    }

    @TearDown
    public void close() {
        rowFactors.close();
        c.close();
        a.close();
        rawWorkspace.close();
        workspace.close();
        weights.close();
        engine.close();
        succeed(cuStreamDestroy(stream));
        succeed(cuCtxDestroy(context));
    }

    private static void succeed(int code) {
        if (code != 0) {
            throw new IllegalStateException("the driver returned " + code);
        }
    }
}
