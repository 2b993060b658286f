package io.github.jmarlin.build;

import io.github.jmarlin.build.KernelBuildException.NoCompiler;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** An nvcc that answered; {@code version} as in 13.0.88. */
public record Nvcc(Path path, String version) {
    /** The first release that knows sm_90a and C++17. */
    static final int OLDEST_MAJOR = 12;
    static final List<String> FLAGS = List.of("-std=c++17", "-O3", "-I.", "--Werror=all-warnings", "-lineinfo", "-ptx");
    private static final Pattern VERSION = Pattern.compile("\\bV(\\d+)(\\.\\d+)+");

    /** Where toolkits are when no variable says so, the newest first. */
    public static List<Path> usualPlaces() {
        List<Path> places = new ArrayList<>();
        for (String parent : List.of("/usr/local", "/opt", "/opt/nvidia", "/usr/lib",
                "C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA")) {
            File[] children = new File(parent).listFiles((dir, name) -> name.matches("cuda.*|nvidia-cuda-toolkit|v[0-9.]+"));
            Stream.of(children == null ? new File[0] : children).map(File::toPath)
                    .sorted(Comparator.comparing(Nvcc::versionInName, Arrays::compare).reversed()).forEach(places::add);
        }
        return places;
    }

    /** {@code cuda-12.6} gives 12, 6; a plain {@code cuda} is the system's choice and goes first. */
    static int[] versionInName(Path folder) {
        int[] numbers = Pattern.compile("\\d+").matcher(folder.getFileName().toString()).results()
                .mapToInt(r -> Integer.parseInt(r.group())).toArray();
        return numbers.length == 0 ? new int[] {Integer.MAX_VALUE} : numbers;
    }

    public static Nvcc find(Map<String, String> environment, List<Path> usualPlaces) throws InterruptedException {
        Set<Path> candidates = new LinkedHashSet<>();
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            String home = environment.getOrDefault(variable, "");
            if (!home.isBlank()) {
                candidates.add(Path.of(home, "bin", "nvcc"));
            }
        }
        for (String folder : environment.getOrDefault("PATH", "").split(File.pathSeparator)) {
            if (!folder.isBlank()) {
                candidates.add(Path.of(folder, "nvcc"));
            }
        }
        usualPlaces.forEach(place -> candidates.add(place.resolve("bin").resolve("nvcc")));
        List<String> refused = new ArrayList<>();
        for (Path candidate : candidates) {
            Path path = Files.isExecutable(candidate) ? candidate : candidate.resolveSibling("nvcc.exe");
            if (!Files.isRegularFile(path) || !Files.isExecutable(path)) {
                continue;
            }
            String output = "";
            try {
                output = CommandResult.of(List.of(path.toString(), "--version"), null).output();
            } catch (IOException e) {
                output = e.getMessage();
            }
            Matcher version = VERSION.matcher(output);
            if (!version.find()) {
                refused.add(path + " does not tell its version");
            } else if (Integer.parseInt(version.group(1)) < OLDEST_MAJOR) {
                refused.add(path + " is " + version.group().substring(1) + " and the kernels need " + OLDEST_MAJOR + ".0 or newer");
            } else {
                return new Nvcc(path, version.group().substring(1));
            }
        }
        throw new NoCompiler(refused.isEmpty() ? "no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places"
                : "no usable nvcc: " + String.join("; ", refused));
    }

    /** nvcc needs a host compiler even for device code: better to say that it is missing than to fail in every image. */
    void probe(Path folder) throws IOException, InterruptedException {
        Path empty = Files.writeString(folder.resolve("probe.cu"), "");
        CommandResult result = CommandResult.of(List.of(path.toString(), "-E", empty.toAbsolutePath().toString()), null);
        if (result.status() != 0) {
            throw new NoCompiler(path + " does not work: " + result.firstLine());
        }
    }

    /** The flags that make an image's PTX. */
    static List<String> flags(KernelImage image) {
        List<String> flags = new ArrayList<>(FLAGS);
        flags.add("-arch=" + image.target());
        if (!image.tile().isEmpty()) {
            flags.add("-DJMARLIN_TILE=" + image.tile().replace(",", "\\,"));     // nvcc takes a plain comma for the end of the macro
        }
        return flags;
    }

    /**
     * Compiles an image's entry file into a PTX text with source lines. Runs in the source folder with relative names, so that machine
     * paths get into nothing but the {@code .file} lines.
     */
    void compile(KernelImage image, Path sources, Path output) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(path.toString()));
        command.addAll(flags(image));
        command.addAll(List.of("-o", output.toAbsolutePath().toString(), image.family().entryName()));
        CommandResult result = CommandResult.of(command, sources);
        if (result.status() != 0) {
            throw new KernelBuildException(image.fileName() + ": nvcc failed with status " + result.status() + "\n" + result.output());
        }
    }
}
