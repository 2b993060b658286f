package io.github.jmarlin.machine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * Compiles the machine that executes PTX with g++, and what is built on it: the stand-in {@code libcuda.so.1}, and test programs.
 *
 * <p>In parallel and incrementally: an object is compiled again when the bytes of a file it was made from, the flags or the
 * compiler change. Several threads and several JVMs may build at once; they wait for one another.
 *
 * <p>As a program, in the project's folder: {@code java MachineBuild.java [OUTPUT]}, by default into {@code target/machine}. It
 * leaves {@code libcuda.so.1} there, or says in one line why not, and exits 0 without g++, 1 on an error.
 */
public final class MachineBuild {
    private static final List<String> FLAGS = List.of("-std=c++17", "-O2", "-g1", "-march=native", "-fPIC", "-fvisibility=hidden",
            "-fno-strict-aliasing", "-fwrapv", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unknown-pragmas");
    private static final int OLDEST_COMPILER = 10;
    private static final ReentrantLock ONE_THREAD = new ReentrantLock();

    private final Path root;
    private final Path output;
    private final List<String> moreFlags;
    private final String compiler;
    private final String version;
    private final String unavailable;

    /**
     * @param root the project's folder
     * @param output where everything goes that is built
     */
    public MachineBuild(Path root, Path output) {
        this(root, output, List.of());
    }

    private MachineBuild(Path root, Path output, List<String> moreFlags) {
        this.moreFlags = moreFlags;
        this.root = root.toAbsolutePath().normalize();
        this.output = output.toAbsolutePath().normalize();
        this.compiler = Optional.ofNullable(System.getenv("CXX")).filter(name -> !name.isBlank()).orElse("g++");
        String answer = null;
        String problem = null;
        if (!System.getProperty("os.name").equals("Linux")) {
            problem = "the PTX machine runs on Linux, this is " + System.getProperty("os.name");
        } else {
            try {
                answer = run(List.of(compiler, "-dumpfullversion")).strip();
                if (Integer.parseInt(answer.split("\\.")[0]) < OLDEST_COMPILER) {
                    problem = "the PTX machine needs g++ " + OLDEST_COMPILER + " or later, " + compiler + " is " + answer;
                }
            } catch (IOException | NumberFormatException e) {
                problem = "the PTX machine needs g++: " + e.getMessage().lines().findFirst().orElse("");
            }
        }
        this.version = answer;
        this.unavailable = problem;
    }

    /** The build of the project whose tests are running, into {@code target/machine}. */
    public static MachineBuild ofProject() {
        Path root = Path.of(System.getProperty("basedir", ""));
        return new MachineBuild(root, root.resolve("target/machine"));
    }

    /** The same, aside, with what makes a program exit when it touches memory that is not its own or leaves what C++ defines. */
    public static MachineBuild withSanitizers() {
        Path root = Path.of(System.getProperty("basedir", ""));
        return new MachineBuild(root, root.resolve("target/machine/sanitized"),
                List.of("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"));
    }

    /** Builds the stand-in driver. */
    public static void main(String[] args) throws IOException {
        if (args.length > 1) {
            throw new IllegalArgumentException("usage: MachineBuild [OUTPUT], got " + List.of(args));
        }
        MachineBuild build = new MachineBuild(Path.of(""), Path.of(args.length == 1 ? args[0] : "target/machine"));
        if (build.unavailable().isPresent()) {
            System.out.println("machine: skipped: " + build.unavailable().get());
            return;
        }
        try {
            System.out.println("machine: " + build.standIn());
        } catch (IOException e) {
            System.err.println("machine: " + e.getMessage());
            System.exit(1);
        }
    }

    /** Why nothing can be built here; empty if it can. */
    public Optional<String> unavailable() {
        return Optional.ofNullable(unavailable);
    }

    /** Builds {@code libcuda.so.1} and a stand-in cuBLAS. Returns the first. */
    public Path standIn() throws IOException {
        return alone(() -> {
            cublas();
            return link(new Target("libcuda.so.1", sources("src/test/cuda/standin"),
                    List.of("-shared", "-Wl,-soname,libcuda.so.1", "-Wl,-Bsymbolic", "-Wl,--no-undefined", "-ldl")));
        });
    }

    /** Builds {@code cublas/libcublas.so.13}, which multiplies in the stand-in driver's streams: out of the way of whoever has none. */
    private void cublas() throws IOException {
        Path sources = root.resolve("src/test/c");
        Path source = sources.resolve("cublas13_product.c");
        Path versions = sources.resolve("cublas13.map");
        Path folder = Files.createDirectories(output.resolve("cublas"));
        List<String> command = new ArrayList<>(List.of(compiler, "-x", "c", "-shared", "-fPIC", "-O2", "-Wall", source.toString(),
                "-x", "none", "-Wl,-soname,libcublas.so.13", "-Wl,--version-script=" + versions, "-ldl"));
        Path library = folder.resolve("libcublas.so.13");
        Path keyFile = output.resolve("objects/libcublas.key");
        String key = hash(command, List.of(source, versions));
        if (!Files.exists(library) || !Files.exists(keyFile) || !Files.readString(keyFile).equals(key)) {
            Path fresh = folder.resolve("libcublas.so.13.new");
            command.addAll(List.of("-o", fresh.toString()));
            run(command);
            Files.move(fresh, library, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            Files.writeString(keyFile, key);
        }
    }

    /** Builds an executable in the output folder, from its sources and the machine. */
    public Path program(String name, List<Path> sources) throws IOException {
        return alone(() -> link(new Target(name, sources, List.of())));
    }

    // ---- compiling and linking ----

    private record Compilation(Path source, List<String> flags, Path object) {
        Path dependencies() {
            return object.resolveSibling(object.getFileName() + ".d");
        }

        Path key() {
            return object.resolveSibling(object.getFileName() + ".key");
        }
    }

    private record Target(String name, List<Path> sources, List<String> linkFlags) {}

    private interface Step {
        Path run() throws IOException;
    }

    /** Runs a step while no other thread and no other JVM builds into the same folder. */
    private Path alone(Step step) throws IOException {
        if (unavailable != null) {
            throw new IOException(unavailable);
        }
        Files.createDirectories(output.resolve("objects"));
        // The file's lock holds up other JVMs, but refuses another thread of this one.
        ONE_THREAD.lock();
        try (FileChannel channel = FileChannel.open(output.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                var lock = channel.lock()) {
            return step.run();
        } finally {
            ONE_THREAD.unlock();
        }
    }

    private Path link(Target target) throws IOException {
        List<Compilation> compilations = new ArrayList<>();
        sources("src/test/cuda/machine").forEach(source -> compilations.add(compilation(source)));
        target.sources().forEach(source -> compilations.add(compilation(root.resolve(source))));
        compile(compilations);
        return link(target, compilations.stream().map(Compilation::object).toList());
    }

    private Path link(Target target, List<Path> objects) throws IOException {
        List<String> command = new ArrayList<>(List.of(compiler, "-pthread"));
        command.addAll(moreFlags);
        objects.forEach(object -> command.add(object.toString()));
        command.addAll(target.linkFlags());
        Path result = output.resolve(target.name());
        String key = hash(command, objects);
        Path keyFile = output.resolve("objects/" + target.name() + ".key");
        if (!Files.exists(result) || !Files.exists(keyFile) || !Files.readString(keyFile).equals(key)) {
            Path fresh = output.resolve(target.name() + ".new");
            command.addAll(List.of("-o", fresh.toString()));
            run(command);
            Files.move(fresh, result, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            Files.writeString(keyFile, key);
        }
        return result;
    }

    private Compilation compilation(Path source) {
        List<String> flags = new ArrayList<>(FLAGS);
        flags.addAll(moreFlags);
        flags.add("-I" + root.resolve("src/test/cuda"));
        String id = sha256((source + " " + flags).getBytes(StandardCharsets.UTF_8)).substring(0, 12);
        return new Compilation(source, flags, output.resolve("objects").resolve(source.getFileName() + "-" + id + ".o"));
    }

    private void compile(List<Compilation> compilations) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        try {
            List<Future<?>> pending = new ArrayList<>();
            for (Compilation compilation : compilations) {
                if (!upToDate(compilation)) {
                    pending.add(workers.submit(() -> {
                        compile(compilation);
                        return null;
                    }));
                }
            }
            for (Future<?> one : pending) {
                one.get();
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            workers.shutdownNow();
        }
    }

    private void compile(Compilation compilation) throws IOException {
        Files.deleteIfExists(compilation.key());
        List<String> command = new ArrayList<>(List.of(compiler));
        command.addAll(compilation.flags());
        command.addAll(List.of("-MMD", "-MF", compilation.dependencies().toString(), "-x", "c++", "-c",
                compilation.source().toString(), "-o", compilation.object().toString()));
        run(command);
        Files.writeString(compilation.key(), key(compilation));
    }

    private boolean upToDate(Compilation compilation) throws IOException {
        return Files.exists(compilation.key()) && Files.exists(compilation.object()) && Files.exists(compilation.dependencies())
                && Files.readString(compilation.key()).equals(key(compilation));
    }

    /** What the object was, or would be, made from. */
    private String key(Compilation compilation) throws IOException {
        String rule = Files.readString(compilation.dependencies()).replace("\\\n", " ");
        List<Path> files = Stream.of(rule.substring(rule.indexOf(':') + 1).strip().split("\\s+")).map(Path::of).toList();
        return hash(compilation.flags(), files);
    }

    private String hash(List<String> words, List<Path> files) throws IOException {
        StringBuilder text = new StringBuilder(version).append(words);
        for (Path file : files) {
            text.append('\n').append(file).append(' ').append(Files.exists(file) ? sha256(Files.readAllBytes(file)) : "gone");
        }
        return sha256(text.toString().getBytes(StandardCharsets.UTF_8));
    }

    // ---- small things ----

    private List<Path> sources(String folder) throws IOException {
        return sorted(root.resolve(folder)).stream().filter(file -> file.toString().endsWith(".cpp")).toList();
    }

    private static List<Path> sorted(Path folder) throws IOException {
        try (Stream<Path> children = Files.list(folder)) {
            return children.sorted().toList();
        }
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Runs a command to its end. Returns what it printed; an IOException has it too if the command failed. */
    static String run(List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            process.getOutputStream().close();
            String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(10, TimeUnit.MINUTES)) {
                throw new IOException(command.get(0) + " still runs after ten minutes");
            }
            if (process.exitValue() != 0) {
                throw new IOException(String.join(" ", command) + "\nexits " + process.exitValue() + ":\n" + printed);
            }
            return printed;
        } catch (UncheckedIOException e) {
            throw e.getCause();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted: " + command.get(0), e);
        } finally {
            process.destroy();
        }
    }
}
