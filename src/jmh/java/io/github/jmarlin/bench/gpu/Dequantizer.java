package io.github.jmarlin.bench.gpu;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuModuleGetGlobal;

import io.github.jmarlin.DataType;
import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cuda.DeviceBuffer;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.plan.WeightShape;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;

/**
 * Packed weights on the device and the kernel that expands them to dense ones, {@code [n][ldw]} in their compute type: the
 * operand of cuBLAS. Offsets of the argument: {@code src/main/cuda/dequantize/dequantize.cuh}, DequantizeArgs.
 */
final class Dequantizer implements AutoCloseable {
    private static final String FAMILY = "dequantize";
    private static final int THREADS = 256;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 8;

    private static final int CODES = 0;
    private static final int SCALES = 8;
    private static final int ZEROS = 16;
    private static final int FACTORS = 24;
    private static final int W = 32;
    private static final int LDW = 40;
    private static final int N = 48;
    private static final int K = 52;
    private static final int K_BLOCKS = 56;
    private static final int SCALE_ROWS = 60;
    private static final int GROUP_SHIFT = 64;
    private static final int SIZE = 72;
    private static final int[] ABI = {1, SIZE, CODES, SCALES, ZEROS, FACTORS, W, LDW, N, K, K_BLOCKS, SCALE_ROWS, GROUP_SHIFT};

    private final Gpu gpu;
    private final WeightShape shape;
    private final List<DeviceBuffer> regions = new ArrayList<>();
    private final ParameterBlock parameters;
    private final CUfunction function;
    private final int grid;

    Dequantizer(Gpu gpu, PackedWeights weights) {
        this.gpu = gpu;
        shape = new WeightShape(weights.k(), weights.n(), weights.groupSize(), weights.computeType(), weights.hasZeroPoints());
        checkAbi(gpu);
        function = gpu.kernel(FAMILY, FAMILY + "_" + (shape.computeType() == DataType.FP16 ? "f16" : "bf16")
                + (shape.zeroPoints() ? "_zp" : "_sym") + (shape.isGroupOf32() ? "_g32" : "_g64"));
        grid = gpu.device().facts().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
        parameters = new ParameterBlock(SIZE);
        try {
            ByteBuffer argument = parameters.argument();
            argument.putLong(CODES, upload(weights.codes()));
            argument.putLong(SCALES, upload(weights.scales()));
            argument.putLong(ZEROS, weights.hasZeroPoints() ? upload(weights.zeros()) : 0);
            argument.putLong(FACTORS, upload(weights.factors()));
            argument.putLong(LDW, denseStride(shape.k()));
            argument.putInt(N, shape.n());
            argument.putInt(K, shape.k());
            argument.putInt(K_BLOCKS, shape.kBlocks());
            argument.putInt(SCALE_ROWS, shape.scaleRows());
            argument.putInt(GROUP_SHIFT, shape.groupShift());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** Elements from column to column of dense weights: k rounded up to 8. */
    static long denseStride(int k) {
        return (k + 7L) / 8 * 8;
    }

    /** Bytes of dense weights. */
    static long denseBytes(int k, int n) {
        return denseStride(k) * n * 2;
    }

    private static void checkAbi(Gpu gpu) {
        CUdeviceptr address = new CUdeviceptr();
        long[] size = new long[1];
        Gpu.check("cuModuleGetGlobal", cuModuleGetGlobal(address, size, gpu.module(FAMILY), "jmarlin_dequantize_abi"));
        int[] found = new int[(int) (size[0] / Integer.BYTES)];
        Gpu.check("cuMemcpyDtoH", cuMemcpyDtoH(Pointer.to(found), address, size[0]));
        if (!Arrays.equals(found, ABI)) {
            throw new KernelImageException("the image of " + FAMILY + " is of another version: it says " + Arrays.toString(found)
                    + ", expected " + Arrays.toString(ABI));
        }
    }

    private long upload(NativeMemory region) {
        DeviceBuffer buffer = gpu.allocate(region.size(), "packed weights to expand");
        regions.add(buffer);
        for (long at = 0; at < region.size();) {
            int length = region.contiguous(at, region.size() - at);
            buffer.upload(at, region.slice(at, length));
            at += length;
        }
        return buffer.address();
    }

    /** Launches the expansion into a buffer of {@link #denseBytes}. */
    void launch(DeviceBuffer dense) {
        parameters.argument().putLong(W, dense.address());
        parameters.launch(function, grid, THREADS, gpu.stream());
    }

    @Override
    public void close() {
        gpu.synchronize();
        regions.forEach(DeviceBuffer::close);
        parameters.close();
    }
}
