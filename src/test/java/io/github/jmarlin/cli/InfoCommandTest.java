package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.testing.Gpu;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class InfoCommandTest {
    @Test
    void listsTheProcessorAndSaysWhatItComputes() {
        Cli run = Cli.run("info");
        assertEquals(0, run.status(), run.err());
        assertEquals("", run.err());
        assertTrue(run.out().matches("(?s).*\\| CPU, \\d+ threads? +cpu +fp16, bf16, fp32 +(AVX|NEON|Java).*"), run.out());
    }

    @Test
    void withoutADriverThereIsAReasonAndNoStackTrace() {
        assumeTrue(!CudaDriver.isAvailable(), "this machine has a CUDA device");
        String out = Cli.run("info").out();
        assertTrue(out.contains("| not usable   " + CudaDriver.unavailableReason()), out);
        assertFalse(out.contains("\tat ") || out.contains("Exception") || out.contains("Error:"), out);
    }

    @Test
    @Tag("gpu")
    void listsTheCudaDeviceAndItsImage() {
        CudaDevice gpu = Gpu.first();
        Cli run = Cli.run("info");
        assertEquals(0, run.status(), run.err());
        String device = gpu.facts().toString();
        assertTrue(run.out().lines().anyMatch(line -> line.startsWith("| " + device) && line.contains("cuda:0")
                && line.matches(".* striped (sm|compute)_\\d+a?\\.(cubin|ptx), .*")),
                run.out());
    }

    @Test
    void noCommandAndUnknownCommandsAreRefusedWithTheList() {
        for (String[] args : new String[][] {{}, {"bogus"}}) {
            Cli run = Cli.run(args);
            assertEquals(2, run.status());
            assertTrue(run.err().contains("commands: demo, info, "), run.err());
        }
    }
}
