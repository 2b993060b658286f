package io.github.jmarlin.build;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Compiles the CUDA sources into images, one per kernel family and target:
 * {@code <family>.sm_80.cubin}, {@code <family>.sm_90a.cubin}, {@code <family>.compute_80.ptx}.
 *
 * <p>A family is a folder {@code <family>} with its entry points in {@code <family>/<family>.cu}; a comment line
 * {@code // targets: sm_90a} in that file narrows the targets. An image is compiled again when its key changes: the hash
 * of the file, every file it includes, the flags and the nvcc version. The register, stack and spill figures of
 * {@code ptxas -v} go to {@code kernel-report.txt}; a spill or a stack frame fails the build, and so does a kernel with another number of
 * registers than a line {@code // registers: 168} says: kernels that hand registers on between their warps count on it.
 *
 * <p>Arguments: mode ({@code auto}, {@code required}, {@code skip}), source folder, build folder, images folder. The images
 * folder afterwards holds exactly the current images and {@code images.properties}, or does not exist.
 */
public final class KernelBuild {
    static final List<String> FLAGS = List.of("-std=c++17", "-O3", "-I.", "--Werror=all-warnings", "-Xptxas=-v");
    static final List<String> DEFAULT_TARGETS = List.of("sm_80", "sm_90a", "compute_80");
    private static final Pattern TARGETS = Pattern.compile("(?m)^// targets: (.+)$");
    private static final Pattern REGISTERS = Pattern.compile("(?m)^// registers: (\\d+)$");
    private static final Pattern INCLUDE = Pattern.compile("(?m)^\\s*#\\s*include\\s*\"([^\"]+)\"");

    private final String mode;
    private final Path sources;
    private final Path work;
    private final Path report;
    private final Path published;
    private final PrintStream out;

    KernelBuild(String mode, Path sources, Path build, Path published, PrintStream out) {
        this.mode = mode;
        this.sources = sources;
        this.work = build.resolve("kernels");
        this.report = build.resolve("kernel-report.txt");
        this.published = published;
        this.out = out;
    }

    /** Runs the build; exits 1 with one line, plus nvcc's own output if it was nvcc that failed. */
    public static void main(String[] args) throws Exception {
        if (args.length != 4) {
            throw new IllegalArgumentException("usage: KernelBuild auto|required|skip SOURCES BUILD IMAGES, got " + List.of(args));
        }
        try {
            new KernelBuild(args[0], Path.of(args[1]), Path.of(args[2]), Path.of(args[3]), System.out)
                    .run(System.getenv(), Nvcc.usualPlaces());
        } catch (KernelBuildException e) {
            System.err.println("kernels: " + e.getMessage());
            System.exit(1);
        }
    }

    void run(Map<String, String> environment, List<Path> usualPlaces) throws IOException, InterruptedException {
        if (!List.of("auto", "required", "skip").contains(mode)) {
            throw new KernelBuildException("-Djmarlin.kernels=" + mode + ": must be auto, required or skip");
        }
        List<Image> images = mode.equals("skip") ? List.of() : findImages();
        if (images.isEmpty()) {
            publish(null, images);
            return;
        }
        Nvcc nvcc;
        try {
            nvcc = Nvcc.find(environment, usualPlaces);
            compile(nvcc, images);
        } catch (NoCompilerException e) {
            if (mode.equals("required")) {
                throw new KernelBuildException(e.getMessage() + ", and -Djmarlin.kernels=required");
            }
            publish(null, List.of());
            out.println("kernels: " + e.getMessage() + "; building without CUDA kernels, the CPU path works");
            return;
        }
        checkResources(images);
        publish(nvcc, images);
    }

    // ---- what to build ----

    /** One output file; {@code inputs} is the entry file and everything it includes, relative to the source folder. */
    record Image(String family, String target, Set<Path> inputs) {
        boolean isPtx() {
            return target.startsWith("compute_");
        }

        String fileName() {
            return family + "." + target + (isPtx() ? ".ptx" : ".cubin");
        }

        List<String> flags() {
            List<String> flags = new ArrayList<>(FLAGS);
            flags.addAll(isPtx() ? List.of("-ptx", "-arch=" + target)
                    : List.of("-cubin", "-gencode=arch=" + target.replace("sm_", "compute_") + ",code=" + target));
            return flags;
        }
    }

    List<Image> findImages() throws IOException {
        List<Image> images = new ArrayList<>();
        if (!Files.isDirectory(sources)) {
            return images;
        }
        for (Path folder : sorted(sources, Files::isDirectory)) {
            String family = folder.getFileName().toString();
            List<Path> units = sorted(folder, p -> p.toString().endsWith(".cu"));
            if (units.isEmpty()) {
                continue;
            }
            Path entry = Path.of(family, family + ".cu");
            if (!units.equals(List.of(sources.resolve(entry)))) {
                throw new KernelBuildException("kernel family " + family + ": its entry points belong in " + entry + " alone, found "
                        + units.stream().map(sources::relativize).toList());
            }
            Matcher targets = TARGETS.matcher(Files.readString(sources.resolve(entry)));
            Set<Path> inputs = new LinkedHashSet<>();
            addIncludes(entry, inputs);
            for (String target : targets.find() ? List.of(targets.group(1).trim().split("[ ,]+")) : DEFAULT_TARGETS) {
                images.add(new Image(family, target, inputs));
            }
        }
        return images;
    }

    private void addIncludes(Path file, Set<Path> inputs) throws IOException {
        if (!inputs.add(file)) {
            return;
        }
        Matcher includes = INCLUDE.matcher(Files.readString(sources.resolve(file)));
        while (includes.find()) {
            // As the compiler looks: beside the including file, then -I. ; what is in neither is nvcc's own.
            for (Path candidate : List.of(file.resolveSibling(includes.group(1)).normalize(), Path.of(includes.group(1)).normalize())) {
                if (Files.isRegularFile(sources.resolve(candidate))) {
                    addIncludes(candidate, inputs);
                    break;
                }
            }
        }
    }

    /** Hash of the contents that the image is made of. */
    String sourceHash(Image image) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
        for (Path input : new TreeSet<>(image.inputs())) {
            digest.update((input.toString().replace(File.separatorChar, '/') + "\0").getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(sources.resolve(input)));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private long sourceBytes(Image image) {
        return image.inputs().stream().mapToLong(input -> sources.resolve(input).toFile().length()).sum();
    }

    private String key(Nvcc nvcc, Image image) throws IOException {
        return String.join("\n", nvcc.version(), String.join(" ", image.flags()), sourceHash(image));
    }

    // ---- compiling ----

    private void compile(Nvcc nvcc, List<Image> images) throws IOException, InterruptedException {
        Files.createDirectories(work);
        List<Image> outdated = new ArrayList<>();
        for (Image image : images) {
            Path keyFile = work.resolve(image.fileName() + ".key");
            if (!Files.exists(keyFile) || !Files.readString(keyFile).equals(key(nvcc, image))) {
                outdated.add(image);
            }
        }
        if (outdated.isEmpty()) {
            return;
        }
        nvcc.probe(work);
        // What takes longest first: machine code, of the family with the most source.
        outdated.sort(Comparator.comparing(Image::isPtx).thenComparing(this::sourceBytes, Comparator.reverseOrder()));
        int threads = Math.min(outdated.size(), Runtime.getRuntime().availableProcessors());
        out.println("kernels: nvcc " + nvcc.version() + " compiles " + outdated.size() + " image(s), " + threads + " at a time");
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            for (Future<Void> done : pool.invokeAll(outdated.stream().map(image -> compiling(nvcc, image)).toList())) {
                done.get();
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof KernelBuildException failure) {
                throw failure;
            }
            throw new IOException(e.getCause());
        } finally {
            pool.shutdownNow();
        }
    }

    private Callable<Void> compiling(Nvcc nvcc, Image image) {
        return () -> {
            long start = System.nanoTime();
            Path unfinished = work.resolve(image.fileName() + ".tmp").toAbsolutePath();
            List<String> command = new ArrayList<>(List.of(nvcc.path().toString()));
            command.addAll(image.flags());
            command.addAll(List.of("-o", unfinished.toString(), image.family() + "/" + image.family() + ".cu"));
            // From the source folder with relative names: no machine path gets into the image.
            Result result = Result.of(command, sources);
            if (result.status() != 0) {
                throw new KernelBuildException(image.fileName() + ": nvcc failed with status " + result.status() + "\n" + result.output());
            }
            Files.writeString(work.resolve(image.fileName() + ".log"), result.output());
            Files.move(unfinished, work.resolve(image.fileName()), StandardCopyOption.REPLACE_EXISTING);
            Files.writeString(work.resolve(image.fileName() + ".key"), key(nvcc, image));
            out.printf(Locale.ROOT, "kernels: %s in %.1f s%n", image.fileName(), (System.nanoTime() - start) * 1e-9);
            return null;
        };
    }

    // ---- resources ----

    /** What {@code ptxas -v} says of one function of one image; registers and shared bytes are known of entries only. */
    record Resources(String function, String target, boolean entry, int registers, int sharedBytes, int stackBytes,
                     int spillStoreBytes, int spillLoadBytes) {
        boolean fits() {
            return stackBytes == 0 && spillStoreBytes == 0 && spillLoadBytes == 0;
        }
    }

    private static final Pattern ENTRY = Pattern.compile("Compiling entry function '(\\S+)' for '(\\S+)'");
    private static final Pattern FUNCTION = Pattern.compile("Function properties for (\\S+)");
    private static final Pattern FRAME =
            Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
    private static final Pattern USED = Pattern.compile("Used (\\d+) registers");
    private static final Pattern SHARED = Pattern.compile("(\\d+)(?:\\+\\d+)? bytes smem");

    /** Reads the output of {@code ptxas -v}; refuses output in which an entry lacks a figure. */
    static List<Resources> parse(String log) {
        List<Resources> all = new ArrayList<>();
        String entry = null;
        String target = null;
        String function = null;
        Matcher frame = null;
        for (String line : log.lines().toList()) {
            Matcher m;
            if ((m = ENTRY.matcher(line)).find()) {
                refuseUnfinished(entry);
                entry = m.group(1);
                target = m.group(2);
                frame = null;
            } else if ((m = FUNCTION.matcher(line)).find()) {
                function = m.group(1);
            } else if ((m = FRAME.matcher(line)).find()) {
                if (function == null) {
                    throw new KernelBuildException("ptxas -v: a stack frame without a function: " + line.trim());
                } else if (function.equals(entry)) {
                    frame = m;
                } else {
                    all.add(new Resources(function, target, false, 0, 0, number(m, 1), number(m, 2), number(m, 3)));
                }
                function = null;
            } else if ((m = USED.matcher(line)).find()) {
                if (entry == null || frame == null) {
                    throw new KernelBuildException("ptxas -v: registers of no known entry: " + line.trim());
                }
                Matcher shared = SHARED.matcher(line);
                all.add(new Resources(entry, target, true, number(m, 1), shared.find() ? number(shared, 1) : 0,
                        number(frame, 1), number(frame, 2), number(frame, 3)));
                entry = null;
            }
        }
        refuseUnfinished(entry);
        return all;
    }

    private static void refuseUnfinished(String entry) {
        if (entry != null) {
            throw new KernelBuildException("ptxas -v: no registers or stack frame for entry " + entry);
        }
    }

    private static int number(Matcher m, int group) {
        return Integer.parseInt(m.group(group));
    }

    private void checkResources(List<Image> images) throws IOException {
        StringBuilder text = new StringBuilder(String.format(Locale.ROOT, "%-44s %-8s %9s %6s %5s %12s %11s%n",
                "function", "target", "registers", "smem", "stack", "spill stores", "spill loads"));
        List<String> faults = new ArrayList<>();
        for (Image image : images) {
            if (image.isPtx()) {
                continue;
            }
            String log = Files.readString(work.resolve(image.fileName() + ".log"));
            List<Resources> functions = parse(log);
            if (functions.stream().noneMatch(Resources::entry)) {
                faults.add(image.fileName() + " has no entry point in the output of ptxas -v");
            }
            Matcher registers = REGISTERS.matcher(Files.readString(sources.resolve(image.family()).resolve(image.family() + ".cu")));
            int wanted = registers.find() ? number(registers, 1) : -1;
            log.lines().filter(line -> line.contains("Potential Performance Loss")).forEach(faults::add);
            for (Resources r : functions) {
                text.append(String.format(Locale.ROOT, "%-44s %-8s %9s %6s %5d %12d %11d%n", r.function(), r.target(),
                        r.entry() ? r.registers() : "", r.entry() ? r.sharedBytes() : "", r.stackBytes(), r.spillStoreBytes(),
                        r.spillLoadBytes()));
                if (!r.fits()) {
                    faults.add(r.function() + " for " + r.target() + ": " + r.stackBytes() + " bytes stack, " + r.spillStoreBytes()
                            + " bytes spill stores, " + r.spillLoadBytes() + " bytes spill loads; all must be 0");
                }
                if (wanted >= 0 && r.entry() && r.registers() != wanted) {
                    faults.add(r.function() + " for " + r.target() + ": " + r.registers() + " registers, its source counts on " + wanted);
                }
            }
        }
        Files.writeString(report, text);
        if (!faults.isEmpty()) {
            throw new KernelBuildException(String.join("\nkernels: ", faults));
        }
    }

    // ---- publishing ----

    private void publish(Nvcc nvcc, List<Image> images) throws IOException {
        if (Files.isDirectory(published)) {
            for (Path old : sorted(published, Files::isRegularFile)) {
                Files.delete(old);
            }
            Files.delete(published);
        }
        if (images.isEmpty()) {
            return;
        }
        Files.createDirectories(published);
        StringBuilder manifest = new StringBuilder("# The CUDA images beside this file.\nnvcc=" + nvcc.version() + "\nimages="
                + images.stream().map(Image::fileName).collect(Collectors.joining(",")) + "\n");
        for (Image image : images) {
            Files.copy(work.resolve(image.fileName()), published.resolve(image.fileName()));
            manifest.append(image.fileName()).append(".flags=").append(String.join(" ", image.flags())).append('\n');
            manifest.append(image.fileName()).append(".source.sha256=").append(sourceHash(image)).append('\n');
        }
        Files.writeString(published.resolve("images.properties"), manifest);
    }

    private static List<Path> sorted(Path folder, java.util.function.Predicate<Path> wanted) throws IOException {
        try (Stream<Path> children = Files.list(folder)) {
            return children.filter(wanted).sorted().toList();
        }
    }

    // ---- the compiler ----

    /** An nvcc that answered; {@code version} as in 13.0.88. */
    record Nvcc(Path path, String version) {
        /** The first release that knows sm_90a and C++17. */
        static final int OLDEST_MAJOR = 12;
        private static final Pattern VERSION = Pattern.compile("\\bV(\\d+)(\\.\\d+)+");

        /** Where toolkits are when no variable says so, the newest first. */
        static List<Path> usualPlaces() {
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

        static Nvcc find(Map<String, String> environment, List<Path> usualPlaces) throws InterruptedException {
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
                    output = Result.of(List.of(path.toString(), "--version"), null).output();
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
            throw new NoCompilerException(refused.isEmpty() ? "no nvcc in CUDA_HOME, CUDA_PATH, PATH or the usual places"
                    : "no usable nvcc: " + String.join("; ", refused));
        }

        /** nvcc needs a host compiler even for device code: better to say that it is missing than to fail in every image. */
        void probe(Path folder) throws IOException, InterruptedException {
            Path empty = Files.writeString(folder.resolve("probe.cu"), "");
            Result result = Result.of(List.of(path.toString(), "-E", empty.toAbsolutePath().toString()), null);
            if (result.status() != 0) {
                throw new NoCompilerException(path + " does not work: "
                        + result.output().lines().filter(line -> !line.isBlank()).findFirst().orElse("status " + result.status()));
            }
        }
    }

    /** Exit status of a finished command, with stdout and stderr together. */
    record Result(int status, String output) {
        static Result of(List<String> command, Path folder) throws IOException, InterruptedException {
            Process process = new ProcessBuilder(command).directory(folder == null ? null : folder.toFile())
                    .redirectErrorStream(true).start();
            process.getOutputStream().close();
            try {
                String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                return new Result(process.waitFor(), output);
            } catch (UncheckedIOException | InterruptedException e) {
                process.destroy();
                throw e;
            }
        }
    }

    /** The build must stop; the message is for the person who runs it. */
    static class KernelBuildException extends RuntimeException {
        KernelBuildException(String message) {
            super(message);
        }
    }

    /** There is no nvcc that could compile. */
    static final class NoCompilerException extends KernelBuildException {
        NoCompilerException(String message) {
            super(message);
        }
    }
}
