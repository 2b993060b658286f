package io.github.jmarlin.cpu;

import org.junit.jupiter.api.Assertions;

/** Says what products are computed with, then compares the bits of AMX with those of the other instruction sets. */
final class AmxProgram {
    private AmxProgram() {
    }

    public static void main(String[] args) {
        System.out.println(InstructionSet.best().set().title());
        Assertions.assertTrue(InstructionSet.AMX.isAvailable());
        NativeBitsTest.findSets();
        NativeBitsTest test = new NativeBitsTest();
        for (int groupSize : new int[] {-1, 32, 64, 128, 256}) {
            test.bitsDependOnNeitherInstructionSetNorThreadsNorBatch(groupSize);
        }
        test.refusedRowsHaveTheirOwnBits();
        System.out.println("equal bits");
    }
}
