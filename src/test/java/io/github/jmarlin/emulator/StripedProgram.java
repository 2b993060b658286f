package io.github.jmarlin.emulator;

import io.github.jmarlin.emulator.EmulatorBuild.Source;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The C++ program of the striped kernel's cases, {@code src/test/cuda/striped/striped_test.cpp}. */
final class StripedProgram {
    private static final Path FOLDER = Path.of("src/test/cuda/striped");

    private StripedProgram() {
    }

    /** With every entry point of the product. */
    static List<Source> complete() {
        return List.of(source("striped_test.cpp"), source("all_instances.cpp"),
                new Source(Path.of("src/main/cuda/striped/striped.cu"), List.of()));
    }

    /** With a few instances of the kernel whose headers lie in a folder of their own. */
    static List<Source> ofKernel(Path headers) {
        return List.of(source("striped_test.cpp"), new Source(FOLDER.resolve("few_instances.cpp"), List.of("-I" + headers)));
    }

    private static Source source(String name) {
        return new Source(FOLDER.resolve(name), List.of());
    }

    /** The lines that the program prints. A failed case is no error here, a crash is. */
    static List<String> run(Path program, String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of("timeout", "300", program.toString()));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> lines = new String(process.getInputStream().readAllBytes()).lines().toList();
        try {
            int status = process.waitFor();
            if (status > 1) {
                throw new IOException(String.join(" ", command) + " exits " + status + " after " + lines.size()
                        + " lines, the last: " + (lines.isEmpty() ? "" : lines.get(lines.size() - 1)));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted: " + String.join(" ", command), e);
        }
        return lines;
    }
}
