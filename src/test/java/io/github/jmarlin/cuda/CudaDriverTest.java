package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Tag;
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

    /** What the JVM says where a library is found and cannot be loaded, and what the user is told to do. */
    @Test
    void surroundingsThatForbidToLoad() {
        assertTrue(told("/tmp/libJCudaDriver-12.6.0-linux-x86_64.so: /tmp/libJCudaDriver-12.6.0-linux-x86_64.so: failed to map segment from"
                + " shared object").contains("mounted noexec?): name another folder with -Djava.io.tmpdir=FOLDER"));
        assertTrue(told("Native Library /tmp/libJCudaDriver-12.6.0-linux-x86_64.so already loaded in another classloader")
                .contains("let one that all others share load JCuda and JMarlin"));
        assertTrue(told("/x.so: cannot open shared object file: Permission denied").contains(System.getProperty("java.io.tmpdir")));
        assertEquals("x.so: undefined symbol: y", told("x.so: undefined symbol: y"));
    }

    private static String told(String linkError) {
        return CudaDriver.reason(new UnsatisfiedLinkError("Error while loading native library\n"
                + "Stack trace from the attempt to load the library as a resource:\njava.lang.UnsatisfiedLinkError: " + linkError + "\n"));
    }

    /** On the module path JCuda does not find its natives by itself (besu-native#274). Takes the build's folders of classes. */
    @Test
    @Tag("source-tree")
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void nativesAreFoundOnTheModulePath() throws Exception {
        Path jar = libraryJar();
        List<String> path = new ArrayList<>(List.of(jar.toString()));
        for (String entry : System.getProperty("java.class.path").split(java.io.File.pathSeparator)) {
            String name = Path.of(entry).getFileName().toString();
            if (name.matches("(jcuda|jcuda-natives|jackson-core)-[\\d.]+.*\\.jar")) {
                path.add(entry);
            }
        }
        List<String> output = run(List.of("-p", String.join(java.io.File.pathSeparator, path), "-m",
                "io.github.jmarlin/" + DriverProbe.class.getName()));
        assertFalse(output.toString().contains("JCuda has no natives"), output.toString());
        try (Stream<Path> unpacked = Files.list(tmp)) {
            assertTrue(unpacked.anyMatch(file -> file.getFileName().toString().startsWith("libJCudaDriver-")), output.toString());
        }
    }

    /** The library's classes and the probe as a jar with a module name. */
    private Path libraryJar() throws IOException, java.net.URISyntaxException {
        Path jar = tmp.resolve("jmarlin.jar");
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
        manifest.getMainAttributes().putValue("Automatic-Module-Name", "io.github.jmarlin");
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
            for (Class<?> root : List.of(CudaDriver.class, DriverProbe.class)) {
                Path classes = Path.of(root.getProtectionDomain().getCodeSource().getLocation().toURI());
                boolean tests = root == DriverProbe.class;
                List<Path> files;
                try (Stream<Path> all = Files.walk(classes)) {
                    files = all.filter(file -> file.toString().endsWith(".class")).filter(file -> tests
                            ? file.endsWith("DriverProbe.class") : !file.toString().contains("/bench/") && !file.toString().contains("/cli/"))
                            .toList();
                }
                for (Path file : files) {
                    out.putNextEntry(new ZipEntry(classes.relativize(file).toString()));
                    out.write(Files.readAllBytes(file));
                }
            }
        }
        return jar;
    }

    private static void assertUnavailable(List<String> output, String reason) {
        assertEquals("available false", output.get(0), output.toString());
        assertTrue(output.get(1).startsWith("reason no CUDA driver: ") && output.get(1).contains(reason), output.toString());
        assertEquals("version 0", output.get(2), output.toString());
        assertTrue(output.get(3).startsWith("require ") && output.get(3).contains(reason), output.toString());
        assertFalse(String.join("\n", output).contains("\tat "), () -> "a stack trace: " + output);
    }

    private List<String> probe(List<String> flags) throws IOException, InterruptedException {
        List<String> arguments = new ArrayList<>(flags);
        arguments.addAll(List.of("-cp", System.getProperty("java.class.path"), DriverProbe.class.getName()));
        return run(arguments);
    }

    private List<String> run(List<String> arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + tmp));
        command.addAll(arguments);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), () -> "still running: " + output);
        assertEquals(0, process.exitValue(), output);
        return output.lines().toList();
    }
}
