package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Epilogues of the raw call: strides, launches of many rows, what is refused. The steps themselves are the contract's. */
class CudaEpilogueTest extends GpuTest {
    private static final int K = 100;
    private static final int N = 70;
    private static final DataType TYPE = DataType.FP16;

    private QuantizedMatrix pairs() {
        try (QuantizedMatrix gate = TestMatrices.layer(K, N / 2, 32, TYPE, false, true, 1);
                QuantizedMatrix up = TestMatrices.layer(K, N / 2, 32, TYPE, false, true, 2)) {
            return closing(MatrixShards.interleave(gate, up));
        }
    }

    /** Several launches, or chunks of sums: the residual's rows, C's and the factors must go on where the last ones ended. */
    @Test
    void rowsGoOnFromLaunchToLaunch() {
        check(PlanOptions.DEFAULT.withBatchInvariance(), 150);
        check(PlanOptions.DEFAULT, 150);
    }

    @Test
    void rowsGoOnFromChunkToChunk() {
        if (engine.missing(Kernels.of(KernelFamily.DENSE)).isEmpty()) {
            check(PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE), 600);
        }
    }

    private void check(PlanOptions options, int m) {
        QuantizedMatrix matrix = pairs();
        DeviceWeights weights = upload(matrix, TYPE);
        CudaGemm gemm = weights.gemm(options);
        Workspace workspace = workspace(gemm, m);
        float[] a = activations(m, K, TYPE);
        float[] factors = TestMatrices.gaussian(m, 3);
        double[] product = ReferenceProduct.multiply(matrix, a, m);
        for (boolean wide : new boolean[] {false, true}) {
            for (boolean silu : new boolean[] {false, true}) {
                int columns = silu ? N / 2 : N;
                int ldr = columns + 3;
                int ldc = columns + 5;
                float[] residual = activations(m, columns, TYPE);
                try (DeviceBuffer from = buffer(strided(a, m, K, 104, false));
                        DeviceBuffer r = buffer(strided(residual, m, columns, ldr, wide));
                        DeviceBuffer c = buffer(strided(new float[0], m, 0, ldc, wide));
                        DeviceBuffer f = buffer(strided(factors, m, 1, 1, true))) {
                    Epilogue epilogue = Epilogue.NONE.withResidual(r.address(), ldr).withRowFactors(f.address());
                    epilogue = wide ? epilogue.withFloatOutput() : epilogue;
                    epilogue = silu ? epilogue.withSiluMul() : epilogue;
                    gemm.launch(from.address(), 104, c.address(), ldc, m, epilogue, workspace, gemm);
                    synchronize(stream);
                    float[] actual = rows(c, m, columns, ldc, wide);
                    double[] expected = new double[m * columns];
                    for (int i = 0; i < expected.length; i++) {
                        int row = i / columns;
                        int column = i % columns;
                        expected[i] = (silu ? silu(x(product, matrix, factors, row, 2 * column))
                                * x(product, matrix, factors, row, 2 * column + 1) : x(product, matrix, factors, row, column))
                                + residual[i];
                    }
                    Errors.assertWithin(1e-3, expected, actual, columns, gemm.describe(m, epilogue));
                    // In place: R at C's own stride.
                    c.upload(0, strided(residual, m, columns, ldc, wide));
                    gemm.launch(from.address(), 104, c.address(), ldc, m, epilogue.withAccumulation(), workspace, null);
                    synchronize(stream);
                    Errors.assertSameBits(actual, rows(c, m, columns, ldc, wide), columns, "in place, " + epilogue);
                    c.upload(0, strided(residual, m, columns, ldc, wide));
                    gemm.launch(from.address(), 104, c.address(), ldc, m, epilogue.withResidual(c.address(), ldc), workspace, null);
                    synchronize(stream);
                    Errors.assertSameBits(actual, rows(c, m, columns, ldc, wide), columns, "R is C, " + epilogue);
                }
            }
        }
    }

    private static double x(double[] product, QuantizedMatrix matrix, float[] factors, int row, int column) {
        return (product[row * N + column] - matrix.bias(column)) * factors[row] + matrix.bias(column);
    }

    private static double silu(double gate) {
        return gate / (1 + Math.exp(-gate));
    }

    private DeviceBuffer buffer(ByteBuffer bytes) {
        DeviceBuffer made = engine.allocate(bytes.remaining(), "operands");
        made.upload(0, bytes);
        return made;
    }

    /** Rows a stride apart; every other bit is 1. */
    private static ByteBuffer strided(float[] values, int m, int columns, int stride, boolean wide) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(m * stride * (wide ? 4 : 2)).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < bytes.capacity(); i++) {
            bytes.put(i, (byte) 0xff);
        }
        for (int i = 0; i < m * columns; i++) {
            int at = i / columns * stride + i % columns;
            if (wide) {
                bytes.putFloat(4 * at, values[i]);
            } else {
                bytes.putShort(2 * at, HalfFloats.encode(TYPE, values[i]));
            }
        }
        return bytes;
    }

    /** After a check that nothing between the rows was written. */
    private static float[] rows(DeviceBuffer c, int m, int columns, int ldc, boolean wide) {
        ByteBuffer bytes = ByteBuffer.allocateDirect((int) c.size()).order(ByteOrder.LITTLE_ENDIAN);
        c.download(0, bytes);
        float[] values = new float[m * columns];
        for (int at = 0; at < m * ldc; at++) {
            if (at % ldc < columns) {
                values[at / ldc * columns + at % ldc] = wide ? bytes.getFloat(4 * at) : HalfFloats.decode(TYPE, bytes.getShort(2 * at));
            } else {
                assertEquals(-1, wide ? bytes.getInt(4 * at) : bytes.getShort(2 * at), "written between the rows, element " + at);
            }
        }
        return values;
    }

    /** An engine that knows its stream as a number: launch, capture and replay, uploads from an address. */
    @Test
    void rawHandles() {
        QuantizedMatrix matrix = matrix(K, N, 32, TYPE, false);
        CudaGemm gemm = upload(matrix, TYPE).gemm();
        Workspace workspace = closing(engine.newWorkspace(number(stream), gemm.workspaceFor(3)));
        assertEquals(stream, workspace.stream());
        float[] a = activations(3, K, TYPE);
        float[] residual = activations(3, N, TYPE);
        try (DeviceOperands operands = new DeviceOperands(gemm.weights(), a, 3, 104, N); DeviceBuffer r = engine.allocate(6L * N, "R")) {
            upload(strided(residual, 3, N, N, false), r);
            Epilogue epilogue = Epilogue.NONE.withResidual(r.address(), N);
            gemm.launch(operands.a(), 104, operands.c(), N, 3, epilogue, workspace, null);
            synchronize(stream);
            float[] launched = operands.result();
            double[] expected = ReferenceProduct.multiply(matrix, a, 3);
            for (int i = 0; i < expected.length; i++) {
                expected[i] += residual[i];
            }
            Errors.assertWithin(6e-4, expected, launched, N, "on a raw stream");
            try (DecodeGraph step = DecodeGraph.of(workspace).product(gemm, operands.a(), 104, operands.c(), N, epilogue).build()) {
                step.capture(3);
                operands.poisonOutputs();
                step.launch(3);
                synchronize(stream);
                Errors.assertSameBits(launched, operands.result(), N, "replayed");
            }
        }
    }

    /** From memory that is known by its address. */
    private static void upload(ByteBuffer bytes, DeviceBuffer target) {
        Pointer memory = new Pointer();
        Cuda.call("cuMemHostAlloc", () -> JCudaDriver.cuMemHostAlloc(memory, bytes.remaining(), 0));
        memory.getByteBuffer(0, bytes.remaining()).put(bytes.duplicate());
        target.upload(0, Address.of(memory), bytes.remaining());
        Cuda.call("cuMemFreeHost", () -> JCudaDriver.cuMemFreeHost(memory));
        assertThrows(IllegalArgumentException.class, () -> target.upload(0, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> target.upload(1, Address.of(memory), target.size()));
    }

    /** As JCuda prints it. */
    private static long number(CUstream stream) {
        String text = stream.toString();
        return Long.decode(text.substring(text.indexOf("0x"), text.indexOf(']')));
    }

    @Test
    void whatIsRefused() {
        DeviceWeights weights = upload(pairs(), TYPE);
        CudaGemm gemm = weights.gemm();
        CudaGemm natural = upload(matrix(K, N, 32, TYPE, false), TYPE).gemm();
        Workspace workspace = closing(engine.newWorkspace(stream, gemm.workspaceFor(3).max(natural.workspaceFor(3))));
        try (DeviceOperands operands = new DeviceOperands(weights, activations(3, K, TYPE), 3, 104, N)) {
            long a = operands.a();
            long c = operands.c();
            ByteBuffer host = ByteBuffer.allocate(1000);
            illegal(() -> gemm.launch(a, 104, c, N, 3, null, workspace, null), "epilogue is null");
            illegal(() -> natural.launch(a, 104, c, N, 3, Epilogue.NONE.withSiluMul(), workspace, null), "silu-mul", "NATURAL", "GATE_UP");
            illegal(() -> gemm.launch(a, 104, c, N, 3, Epilogue.NONE.withResidual(host), workspace, null), "residual", "host memory");
            illegal(() -> gemm.launch(a, 104, c, N, 3, Epilogue.NONE.withRowFactors(host), workspace, null), "row factors", "host memory");
            illegal(() -> gemm.launch(a, 104, c, 34, 3, Epilogue.NONE.withSiluMul(), workspace, null), "ldc 34", "n / 2 35");
            illegal(() -> gemm.launch(a, 104, c + 2, N, 3, Epilogue.NONE.withFloatOutput(), workspace, null), "multiple of 4");
            illegal(() -> gemm.launch(a, 104, c, N, 3, Epilogue.NONE.withResidual(c, 69), workspace, null), "stride 69", "70 columns");
            illegal(() -> gemm.launch(a, 104, c, N, 3, Epilogue.NONE.withResidual(c + 1, N), workspace, null), "residual", "multiple of 2");
            illegal(() -> gemm.launch(a, 104, c, N, 3, Epilogue.NONE.withResidual(c, Long.MAX_VALUE / 4), workspace, null), "2^63");
            for (float value : operands.result()) {
                assertTrue(Float.isNaN(value), "C was written");
            }
        }
        String text = gemm.describe(3, Epilogue.NONE.withSiluMul().withAccumulation().withFloatOutput());
        assertTrue(text.startsWith(gemm.plan(3).toString()) && text.endsWith("epilogue: silu(gate) * up, + C, to fp32"), text);
    }

    private static void illegal(Executable call, String... parts) {
        assertMentions(assertThrows(IllegalArgumentException.class, call), parts);
    }
}
