package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.PtxasLog.Resources;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Reading {@code ptxas -v}, on output of nvcc 13.0.88. */
class PtxasLogTest {
    private static final String LOG = """
            ptxas info    : 24 bytes gmem
            ptxas info    : Compiling entry function 'second' for 'sm_90a'
            ptxas info    : Function properties for second
                0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
            ptxas info    : Used 255 registers, used 3 barriers, 132096 bytes smem
            ptxas info    : Compile time = 12.2 ms
            ptxas info    : Compiling entry function 'first' for 'sm_90a'
            ptxas info    : Function properties for first
                24 bytes stack frame, 20 bytes spill stores, 28 bytes spill loads
            ptxas info    : Used 32 registers, used 1 barriers, 24 bytes cumulative stack size, 360 bytes cmem[0]
            ptxas info    : Function properties for _Z6helperPf
                16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
            """;

    @Test
    void readsEveryFigure() {
        assertEquals(List.of(new Resources("second", "sm_90a", true, 255, 132096, 0, 0, 0),
                new Resources("first", "sm_90a", true, 32, 0, 24, 20, 28),
                new Resources("_Z6helperPf", "sm_90a", false, 0, 0, 16, 0, 0)), PtxasLog.parse(LOG));
    }

    @Test
    void anyStackOrSpillDoesNotFit() {
        assertTrue(new Resources("f", "sm_80", true, 255, 1, 0, 0, 0).fits());
        assertFalse(new Resources("f", "sm_80", true, 255, 1, 1, 0, 0).fits());
        assertFalse(new Resources("f", "sm_80", true, 255, 1, 0, 1, 0).fits());
        assertFalse(new Resources("f", "sm_80", true, 255, 1, 0, 0, 1).fits());
    }

    @Test
    void refusesALogThatLacksAFigure() {
        for (String missing : List.of("Used 255 registers", "0 bytes stack frame", "Function properties for second",
                "Compiling entry function 'second'")) {
            String log = LOG.lines().filter(line -> !line.contains(missing)).reduce("", (a, b) -> a + b + "\n");
            String message = assertThrows(KernelBuildException.class, () -> PtxasLog.parse(log), missing).getMessage();
            assertTrue(message.startsWith("ptxas -v: "), message);
        }
    }
}
