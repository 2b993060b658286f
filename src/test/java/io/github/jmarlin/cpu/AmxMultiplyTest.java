package io.github.jmarlin.cpu;

/** The AMX kernels, where there is AMX; {@link AmxEmulationTest} executes them everywhere. */
class AmxMultiplyTest extends CpuMultiplyTest {
    AmxMultiplyTest() {
        super(InstructionSet.AMX);
    }
}
