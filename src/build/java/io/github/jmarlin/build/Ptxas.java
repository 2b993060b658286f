package io.github.jmarlin.build;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An assembler of PTX that answered; {@code version} as in 13.0.88. */
record Ptxas(Path path, String version) {
    static final List<String> FLAGS = List.of("-O3", "--warning-as-error", "-v");
    private static final Pattern VERSION = Pattern.compile("\\bV(\\d+(?:\\.\\d+)+)");

    /** The one that came with an nvcc. */
    static Ptxas of(Nvcc nvcc) throws IOException, InterruptedException {
        Path real = nvcc.path().toRealPath();
        for (Path sibling : List.of(nvcc.path(), real)) {
            for (String name : List.of("ptxas", "ptxas.exe")) {
                Path path = sibling.resolveSibling(name);
                if (Files.isRegularFile(path)) {
                    return of(path);
                }
            }
        }
        throw new KernelBuildException("no ptxas beside " + nvcc.path() + ": -Djmarlin.ptxas=FILE names one");
    }

    static Ptxas of(Path path) throws IOException, InterruptedException {
        if (!Files.isRegularFile(path) || !Files.isExecutable(path)) {
            throw new KernelBuildException("-Djmarlin.ptxas=" + path + " is not a program");
        }
        Matcher version = VERSION.matcher(CommandResult.of(List.of(path.toAbsolutePath().toString(), "--version"), null).output());
        if (!version.find()) {
            throw new KernelBuildException("ptxas " + path + " does not tell its version");
        }
        return new Ptxas(path.toAbsolutePath(), version.group(1));
    }

    static List<String> flags(KernelImage image) {
        List<String> flags = new ArrayList<>(FLAGS);
        flags.add("-arch=" + image.target());
        return flags;
    }

    /** Assembles the PTX text of an image. Returns what {@code -v} says; {@link PtxasLog} reads it. */
    String assemble(KernelImage image, Path ptx, Path output) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(path.toString()));
        command.addAll(flags(image));
        command.addAll(List.of("-o", output.toAbsolutePath().toString(), ptx.toAbsolutePath().toString()));
        CommandResult result = CommandResult.of(command, null);
        if (result.status() != 0) {
            throw new KernelBuildException(image.fileName() + ": ptxas " + version + " failed with status " + result.status() + "\n"
                    + result.output());
        }
        return result.output();
    }

    /** The version of the ELF container that machine code is in: 7 for drivers of CUDA 12, 8 for newer ones (and for 10.0 and 12.0). */
    static int elfAbi(Path cubin) throws IOException {
        byte[] bytes = Files.readAllBytes(cubin);
        if (bytes.length < 16 || bytes[0] != 0x7f || bytes[1] != 'E' || bytes[2] != 'L' || bytes[3] != 'F') {
            throw new KernelBuildException(cubin.getFileName() + " is no ELF file");
        }
        return bytes[8] & 0xff;
    }
}
