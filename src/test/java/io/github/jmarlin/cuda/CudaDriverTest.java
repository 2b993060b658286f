package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Machines without CUDA, each played by a JVM of its own. */
class CudaDriverTest {

    @TempDir
    private Path tmp;

    @Test
    void reasonAndAvailabilityAgree() {
        assertEquals(CudaDriver.isAvailable(), CudaDriver.unavailableReason().isEmpty(), CudaDriver.unavailableReason());
        assertEquals(CudaDriver.isAvailable(), !CudaDriver.devices().isEmpty(), CudaDriver.devices().toString());
    }

    @Test
    void macOs() throws Exception {
        assertUnavailable(probe(List.of("-Dos.name=Mac OS X", "-Dos.arch=aarch64")), "not available on MacOS");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void arm() throws Exception {
        assertUnavailable(probe(List.of("-Dos.arch=aarch64")), "JCuda has no natives for Linux on aarch64");
    }

    /** What JCuda throws on a machine without a driver; the rest of it is a page of stack traces. */
    @Test
    void noDriver() {
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(
                "Error while loading native library \"JCudaDriver-12.6.0-linux-x86_64\"\n"
                + "Operating system name: Linux\nArchitecture         : amd64\n---(start of nested stack traces)---\n"
                + "Stack trace from the attempt to load the library as a file:\n"
                + "java.lang.UnsatisfiedLinkError: no JCudaDriver-12.6.0-linux-x86_64 in java.library.path: /usr/lib\n"
                + "\tat java.base/java.lang.System.loadLibrary(System.java:2006)\n"
                + "Stack trace from the attempt to load the library as a resource:\n"
                + "java.lang.UnsatisfiedLinkError: x.so: libcuda.so.1: cannot open shared object file: No such file or"
                + " directory\n"
                + "\tat java.base/java.lang.Runtime.load0(Runtime.java:755)\n---(end of nested stack traces)---\n");
        assertEquals("x.so: libcuda.so.1: cannot open shared object file: No such file or directory", CudaDriver.reason(error));
        assertEquals("something else",
                CudaDriver.reason(new ExceptionInInitializerError(new IllegalStateException("something else\nmore"))));
        assertEquals("null", CudaDriver.reason(new NoClassDefFoundError()));
    }

    private static void assertUnavailable(List<String> output, String reason) {
        assertEquals("available false", output.get(0), output.toString());
        assertTrue(output.get(1).startsWith("reason no CUDA driver: ") && output.get(1).contains(reason), output.toString());
        assertEquals("version 0", output.get(2), output.toString());
        assertTrue(output.get(3).startsWith("require ") && output.get(3).contains(reason), output.toString());
        assertFalse(String.join("\n", output).contains("\tat "), () -> "a stack trace: " + output);
    }

    private List<String> probe(List<String> flags) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(flags);
        command.addAll(List.of("-Djava.io.tmpdir=" + tmp, "-cp", System.getProperty("java.class.path"),
                DriverProbe.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), () -> "still running: " + output);
        assertEquals(0, process.exitValue(), output);
        return output.lines().toList();
    }
}
