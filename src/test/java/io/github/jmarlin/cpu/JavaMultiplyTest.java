package io.github.jmarlin.cpu;

/** The Java path. */
class JavaMultiplyTest extends CpuMultiplyTest {
    JavaMultiplyTest() {
        super(InstructionSet.JAVA);
    }
}
