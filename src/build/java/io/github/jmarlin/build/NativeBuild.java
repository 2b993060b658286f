package io.github.jmarlin.build;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Compiles the C sources of the CPU path into one library per platform, {@code <output>/linux-x86_64/libjmarlin.so}: for this
 * machine, and for arm64 Linux where its cross compiler is installed. A library is compiled again when its key changes: the hash of the
 * sources, the flags and the compiler's version.
 *
 * <p>It needs gcc 11 or newer and the JDK's jni.h, and must run with every glibc from 2.28 on, else the build fails.
 *
 * <p>Arguments: mode ({@code auto}, {@code required}, {@code skip}), source folder, build folder, output folder, which afterwards holds
 * exactly the current libraries.
 */
public final class NativeBuild {
    static final int OLDEST_GCC = 11;
    private static final int NEWEST_GLIBC_MINOR = 28;
    /** No contraction: what is rounded must not depend on the compiler. */
    static final List<String> FLAGS = List.of("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-fvisibility=hidden",
            "-Wall", "-Wextra", "-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=2");
    static final List<String> LINK_FLAGS = List.of("-shared", "-s", "-Wl,-z,relro,-z,now,-z,noexecstack,--no-undefined,--as-needed");
    private static final String LIBRARY = "libjmarlin.so";
    private static final Pattern GLIBC = Pattern.compile("GLIBC_2\\.(\\d+)");

    private final String mode;
    private final Path sources;
    private final Path work;
    private final Path output;
    private final PrintStream out;

    NativeBuild(String mode, Path sources, Path build, Path output, PrintStream out) {
        this.mode = mode;
        this.sources = sources;
        this.work = build.resolve("native");
        this.output = output;
        this.out = out;
    }

    /** Runs the build; exits 1 with one line, plus the compiler's own output if it was that which failed. */
    public static void main(String[] args) throws Exception {
        if (args.length != 4) {
            throw new IllegalArgumentException("usage: NativeBuild auto|required|skip SOURCES BUILD OUTPUT, got " + List.of(args));
        }
        try {
            new NativeBuild(args[0], Path.of(args[1]), Path.of(args[2]), Path.of(args[3]), System.out)
                    .run(System.getenv(), Path.of(System.getProperty("java.home")), System.getProperty("os.name"));
        } catch (NativeBuildException e) {
            System.err.println("native: " + e.getMessage());
            System.exit(1);
        }
    }

    void run(Map<String, String> environment, Path javaHome, String system) throws IOException, InterruptedException {
        if (!List.of("auto", "required", "skip").contains(mode)) {
            throw new NativeBuildException("-Djmarlin.native=" + mode + ": must be auto, required or skip");
        }
        List<Compiler> compilers = new ArrayList<>();
        if (!mode.equals("skip")) {
            try {
                compilers.addAll(compilers(environment, javaHome, system));
            } catch (NoCompilerException e) {
                if (mode.equals("required")) {
                    throw new NativeBuildException(e.getMessage() + ", and -Djmarlin.native=required");
                }
                out.println("native: " + e.getMessage() + "; building without native CPU kernels, Java multiplies");
            }
        }
        for (Compiler compiler : compilers) {
            compile(compiler, javaHome);
        }
        publish(compilers);
    }

    // ---- compilers ----

    /** A gcc and the platform that it compiles for, as NativeCpu.java names it. */
    record Compiler(Path path, String version, String platform) {
        List<String> flags() {
            List<String> flags = new ArrayList<>(FLAGS);
            flags.add(platform.endsWith("x86_64") ? "-fcf-protection" : "-mbranch-protection=standard");
            return flags;
        }
    }

    private static List<Compiler> compilers(Map<String, String> environment, Path javaHome, String system) throws InterruptedException {
        if (!system.equals("Linux")) {
            throw new NoCompilerException("the native kernels are for Linux, this is " + system);
        }
        if (!Files.exists(javaHome.resolve("include/jni.h"))) {
            throw new NoCompilerException("no " + javaHome.resolve("include/jni.h") + ", which a JDK has");
        }
        List<String> names = new ArrayList<>(List.of("gcc", "cc"));
        for (int major = 20; major >= OLDEST_GCC; major--) {
            names.add("gcc-" + major);
        }
        if (!environment.getOrDefault("CC", "").isBlank()) {
            names.add(0, environment.get("CC"));
        }
        List<String> refused = new ArrayList<>();
        List<Compiler> found = new ArrayList<>();
        addFirst(names, environment, found, refused);
        if (found.isEmpty()) {
            throw new NoCompilerException(refused.isEmpty() ? "no gcc in CC or PATH" : "no usable gcc: " + String.join("; ", refused));
        }
        addFirst(List.of("aarch64-linux-gnu-gcc"), environment, found, refused);
        return found;
    }

    /** Adds the first of the named compilers that will do and compiles for a platform that is not there yet. */
    private static void addFirst(List<String> names, Map<String, String> environment, List<Compiler> found, List<String> refused)
            throws InterruptedException {
        for (String name : names) {
            for (String folder : name.contains("/") ? new String[] {""} : environment.getOrDefault("PATH", "").split(File.pathSeparator)) {
                Path path = Path.of(folder, name);
                if (!Files.isRegularFile(path) || !Files.isExecutable(path)) {
                    continue;
                }
                Compiler compiler = probe(path, refused);
                if (compiler != null && found.stream().noneMatch(other -> other.platform().equals(compiler.platform()))) {
                    found.add(compiler);
                    return;
                }
            }
        }
    }

    /** Asks the preprocessor what the compiler is. Null, and a reason, if it will not do. */
    private static Compiler probe(Path path, List<String> refused) throws InterruptedException {
        String macros;
        try {
            macros = CommandResult.of(List.of(path.toString(), "-E", "-dM", "-include", "string.h", "-x", "c", "/dev/null"), null).output();
        } catch (IOException e) {
            macros = e.getMessage();
        }
        String version = macro(macros, "__VERSION__").replace("\"", "");
        String major = macro(macros, "__GNUC__");
        boolean x86 = !macro(macros, "__x86_64__").isEmpty();
        boolean arm = !macro(macros, "__aarch64__").isEmpty();
        if (major.isEmpty() || !macro(macros, "__clang__").isEmpty()) {
            refused.add(path + (version.isEmpty() ? " cannot compile a C file" : " is " + version + ", no gcc"));
        } else if (Integer.parseInt(major) < OLDEST_GCC) {
            refused.add(path + " is gcc " + version + ", and " + OLDEST_GCC + " or newer is needed");
        } else if (macro(macros, "_STRING_H").isEmpty()) {
            refused.add(path + " has no C library's headers");
        } else if (!x86 && !arm) {
            refused.add(path + " compiles for neither x86-64 nor arm64");
        } else {
            return new Compiler(path, version, x86 ? "linux-x86_64" : "linux-aarch64");
        }
        return null;
    }

    private static String macro(String macros, String name) {
        Matcher m = Pattern.compile("(?m)^#define " + name + " (.+)$").matcher(macros);
        return m.find() ? m.group(1) : "";
    }

    // ---- compiling ----

    private void compile(Compiler compiler, Path javaHome) throws IOException, InterruptedException {
        Path folder = work.resolve(compiler.platform());
        Files.createDirectories(folder);
        Path keyFile = folder.resolve("key");
        String key = String.join("\n", compiler.version(), String.join(" ", compiler.flags()), String.join(" ", LINK_FLAGS), sourceHash());
        if (Files.exists(keyFile) && Files.readString(keyFile).equals(key) && Files.exists(folder.resolve(LIBRARY))) {
            return;
        }
        long start = System.nanoTime();
        Path unfinished = folder.resolve(LIBRARY + ".tmp").toAbsolutePath();
        List<String> command = new ArrayList<>(List.of(compiler.path().toString()));
        command.addAll(compiler.flags());
        command.addAll(LINK_FLAGS);
        command.addAll(List.of("-I" + javaHome.resolve("include"), "-I" + javaHome.resolve("include/linux"), "-o", unfinished.toString()));
        files(".c").forEach(file -> command.add(file.getFileName().toString()));
        // From the source folder with relative names: no machine path gets into the library.
        CommandResult result = CommandResult.of(command, sources);
        if (result.status() != 0) {
            throw new NativeBuildException(compiler.path() + " failed with status " + result.status() + "\n" + result.output());
        }
        out.print(result.output());
        checkGlibc(unfinished, compiler);
        Files.move(unfinished, folder.resolve(LIBRARY), StandardCopyOption.REPLACE_EXISTING);
        Files.writeString(keyFile, key);
        out.printf(Locale.ROOT, "native: %s for %s by gcc %s in %.1f s%n", LIBRARY, compiler.platform(), compiler.version(),
                (System.nanoTime() - start) * 1e-9);
    }

    /** The versions of symbols are names in the library. */
    private static void checkGlibc(Path library, Compiler compiler) throws IOException {
        Matcher versions = GLIBC.matcher(new String(Files.readAllBytes(library), StandardCharsets.ISO_8859_1));
        while (versions.find()) {
            if (Integer.parseInt(versions.group(1)) > NEWEST_GLIBC_MINOR) {
                throw new NativeBuildException("the library for " + compiler.platform() + " needs " + versions.group()
                        + ", at most GLIBC_2." + NEWEST_GLIBC_MINOR + " is allowed");
            }
        }
    }

    private List<Path> files(String... endings) throws IOException {
        try (Stream<Path> children = Files.list(sources)) {
            return children.filter(file -> Stream.of(endings).anyMatch(file.toString()::endsWith)).sorted().toList();
        }
    }

    private String sourceHash() throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
        for (Path file : files(".c", ".h")) {
            digest.update((file.getFileName() + "\0").getBytes(StandardCharsets.UTF_8));
            digest.update(Files.readAllBytes(file));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    // ---- publishing ----

    private void publish(List<Compiler> compilers) throws IOException {
        if (Files.isDirectory(output)) {
            try (Stream<Path> old = Files.walk(output)) {
                for (Path path : old.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
        for (Compiler compiler : compilers) {
            Path folder = Files.createDirectories(output.resolve(compiler.platform()));
            Files.copy(work.resolve(compiler.platform()).resolve(LIBRARY), folder.resolve(LIBRARY));
        }
    }

    /** The build must stop; the message is for the person who runs it. */
    static class NativeBuildException extends RuntimeException {
        NativeBuildException(String message) {
            super(message);
        }
    }

    /** There is no compiler that would do. */
    static final class NoCompilerException extends NativeBuildException {
        NoCompilerException(String message) {
            super(message);
        }
    }
}
