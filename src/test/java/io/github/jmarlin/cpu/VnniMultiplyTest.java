package io.github.jmarlin.cpu;

/** The AVX-512 VNNI kernels. */
class VnniMultiplyTest extends CpuMultiplyTest {
    VnniMultiplyTest() {
        super(InstructionSet.VNNI);
    }
}
