package io.github.jmarlin.cuda.cublas;

import jcuda.Pointer;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;

/**
 * Calls cublasGemmEx_new of the stand-in cuBLAS twenty times and prints what it returns, a line per call: with all arguments
 * right, then with argument 0, 1, ..., 18 wrong. A program of its own, because a JVM can load JCublas2 only once.
 */
final class CublasArguments {
    static final int COUNT = 19;

    private CublasArguments() {
    }

    public static void main(String[] args) {
        CublasLibrary library = CublasLibrary.load();
        System.out.println(library.description());
        if (!library.isAvailable()) {
            System.exit(1);
        }
        cublasHandle handle = new cublasHandle();
        cublasHandle other = new cublasHandle();
        JCublas2.cublasCreate(handle);
        JCublas2.cublasCreate(other);
        for (int wrong = -1; wrong < COUNT; wrong++) {
            System.out.println(call(wrong == 0 ? other : handle, wrong));
        }
        System.exit(JCublas2.cublasDestroy(handle) + JCublas2.cublasDestroy(other));
    }

    private static int call(cublasHandle handle, int wrong) {
        return JCublas2.cublasGemmEx_new(handle,
                1 + change(1, wrong), change(2, wrong), 101 + change(3, wrong), 102 + change(4, wrong), 103 + change(5, wrong),
                Pointer.to(new float[] {1.5f + change(6, wrong)}),
                device(0x700011112222L + change(7, wrong)), 2 + change(8, wrong), 201 + change(9, wrong),
                device(0x700033334444L + change(10, wrong)), 14 + change(11, wrong), 202 + change(12, wrong),
                Pointer.to(new float[] {-0.25f + change(13, wrong)}),
                device(0x700055556666L + change(14, wrong)), change(15, wrong), 203 + change(16, wrong),
                68 + change(17, wrong), -1 + change(18, wrong));
    }

    private static int change(int argument, int wrong) {
        return argument == wrong ? 1 : 0;
    }

    private static Pointer device(long address) {
        return new Pointer().withByteOffset(address);
    }
}
