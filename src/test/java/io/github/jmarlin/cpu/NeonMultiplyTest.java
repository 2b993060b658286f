package io.github.jmarlin.cpu;

/** The NEON kernels, on an arm64 machine. */
class NeonMultiplyTest extends CpuMultiplyTest {
    NeonMultiplyTest() {
        super(InstructionSet.NEON);
    }
}
