package io.github.jmarlin.cpu;

/** The AVX2 kernels. */
class Avx2MultiplyTest extends CpuMultiplyTest {
    Avx2MultiplyTest() {
        super(InstructionSet.AVX2);
    }
}
