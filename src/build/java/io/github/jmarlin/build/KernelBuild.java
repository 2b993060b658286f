package io.github.jmarlin.build;

import io.github.jmarlin.build.KernelBuildException.NoCompiler;
import io.github.jmarlin.build.Targets.Phase;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;

/**
 * Compiles the CUDA sources into images, one per tile of a kernel family and target: {@code striped_m8_n64.compute_80.ptx},
 * {@code striped_m8_n64.sm_80.cubin}.
 *
 * <p>nvcc turns sources into PTX; source lines and what needs a newer PTX version than the family are taken out; ptxas makes machine
 * code of that same text. An image is made again when its key changes: compiler, flags, how texts are worked on, and the hash of every
 * file it is made from. The register, stack and spill figures of {@code ptxas -v} go to {@code kernel-report.txt}; a spill, a stack
 * frame or another number of registers than the source counts on fails the build.
 *
 * <p>Arguments: phase ({@code compile}, {@code test}, {@code package}), mode ({@code auto}, {@code required}, {@code skip}), targets
 * (see {@link Targets#of}), ptxas ({@code auto} is nvcc's own), source folder, build folder, images folder. The images folder
 * afterwards holds exactly the images of the phase and {@code images.properties}, or does not exist. {@code kernels/lined} of the build
 * folder has the PTX texts with source lines.
 */
public final class KernelBuild {
    private final Phase phase;
    private final String mode;
    private final String targets;
    private final String ptxas;
    private final KernelSources sources;
    private final Path sourceFolder;
    private final Path work;
    private final Path report;
    private final Path published;
    private final PrintStream out;

    KernelBuild(Phase phase, String mode, String targets, String ptxas, Path sources, Path build, Path published, PrintStream out) {
        this.phase = phase;
        this.mode = mode;
        this.targets = targets;
        this.ptxas = ptxas;
        this.sources = new KernelSources(sources);
        this.sourceFolder = sources;
        this.work = build.resolve("kernels");
        this.report = build.resolve("kernel-report.txt");
        this.published = published;
        this.out = out;
    }

    /** Runs the build; exits 1 with one line, plus the compiler's own output if it was that which failed. */
    public static void main(String[] args) throws Exception {
        if (args.length != 7) {
            throw new IllegalArgumentException("usage: KernelBuild compile|test|package auto|required|skip TARGETS PTXAS SOURCES BUILD"
                    + " IMAGES, got " + List.of(args));
        }
        try {
            new KernelBuild(Phase.valueOf(args[0].toUpperCase(Locale.ROOT)), args[1], args[2], args[3], Path.of(args[4]),
                    Path.of(args[5]), Path.of(args[6]), System.out).run(System.getenv(), Nvcc.usualPlaces(), Targets.gpus());
        } catch (KernelBuildException e) {
            System.err.println("kernels: " + e.getMessage());
            System.exit(1);
        }
    }

    void run(Map<String, String> environment, List<Path> usualPlaces, List<Integer> gpus) throws IOException, InterruptedException {
        if (!List.of("auto", "required", "skip").contains(mode)) {
            throw new KernelBuildException("-Djmarlin.kernels=" + mode + ": must be auto, required or skip");
        }
        boolean required = mode.equals("required");
        Set<String> wanted = Targets.of(phase, required, targets, gpus);
        List<KernelImage> images = mode.equals("skip") ? List.of() : images(wanted);
        if (images.isEmpty()) {
            publish(null, images);
            if (!mode.equals("skip") && wanted.isEmpty()) {
                out.println("kernels: none compiled, this machine has no GPU to run them; tests and packages get their PTX,"
                        + " -Djmarlin.targets=all compiles every image");
            }
            return;
        }
        Nvcc nvcc;
        try {
            nvcc = Nvcc.find(environment, usualPlaces);
            compile(nvcc, images);
        } catch (NoCompiler e) {
            if (required) {
                throw new KernelBuildException(e.getMessage() + ", and -Djmarlin.kernels=required");
            }
            publish(null, List.of());
            out.println("kernels: " + e.getMessage() + "; building without CUDA kernels, the CPU path works");
            return;
        }
        checkResources(images);
        publish(nvcc, images);
    }

    private List<KernelImage> images(Set<String> wanted) throws IOException {
        return sources.families().stream()
                .flatMap(family -> family.targets().stream().filter(wanted::contains).flatMap(family::images)).toList();
    }

    // ---- compiling ----

    private void compile(Nvcc nvcc, List<KernelImage> images) throws IOException, InterruptedException {
        Files.createDirectories(work.resolve("lined"));
        Set<KernelImage> texts = new LinkedHashSet<>();
        images.forEach(image -> texts.add(image.isPtx() ? image : image.ptx()));
        List<KernelImage> outdated = new ArrayList<>();
        for (KernelImage text : texts) {
            if (!isCurrent(text, textKey(nvcc, text))) {
                outdated.add(text);
            }
        }
        if (!outdated.isEmpty()) {
            nvcc.probe(work);
        }
        inParallel("nvcc " + nvcc.version(), outdated, text -> compileText(nvcc, text));

        List<KernelImage> cubins = images.stream().filter(image -> !image.isPtx()).toList();
        if (cubins.isEmpty()) {
            return;
        }
        Assemblers assemblers = Assemblers.of(nvcc, ptxas);
        outdated.clear();
        for (KernelImage cubin : cubins) {
            if (!isCurrent(cubin, cubinKey(assemblers.of(cubin), cubin))) {
                outdated.add(cubin);
            }
        }
        inParallel("ptxas " + assemblers.versions(outdated), outdated, cubin -> assemble(assemblers.of(cubin), cubin));
    }

    private void compileText(Nvcc nvcc, KernelImage image) throws IOException, InterruptedException {
        Path unfinished = work.resolve(image.fileName() + ".tmp");
        nvcc.compile(image, sourceFolder, unfinished);
        String lined = PtxText.lowered(Files.readString(unfinished), image.ptxVersion());
        Files.writeString(work.resolve("lined").resolve(image.fileName()), lined);
        Files.writeString(unfinished, PtxText.withoutLines(lined));
        finish(image, unfinished, textKey(nvcc, image));
    }

    private void assemble(Ptxas assembler, KernelImage image) throws IOException, InterruptedException {
        Path unfinished = work.resolve(image.fileName() + ".tmp");
        String log = assembler.assemble(image, work.resolve(image.ptx().fileName()), unfinished);
        Files.writeString(work.resolve(image.fileName() + ".log"), log);
        Files.writeString(work.resolve(image.fileName() + ".ptxas"), assembler.version());
        finish(image, unfinished, cubinKey(assembler, image));
    }

    private boolean isCurrent(KernelImage image, String key) throws IOException {
        Path keyFile = work.resolve(image.fileName() + ".key");
        return Files.exists(keyFile) && Files.readString(keyFile).equals(key);
    }

    private void finish(KernelImage image, Path unfinished, String key) throws IOException {
        Files.move(unfinished, work.resolve(image.fileName()), StandardCopyOption.REPLACE_EXISTING);
        Files.writeString(work.resolve(image.fileName() + ".key"), key);
    }

    private String textKey(Nvcc nvcc, KernelImage image) throws IOException {
        return String.join("\n", nvcc.version(), String.join(" ", Nvcc.flags(image)), "PTX " + image.ptxVersion(), textRules(),
                sources.hash(image.family()));
    }

    /** A hash of the program that works on nvcc's text: what it changed was not what ships now. */
    private static String textRules() throws IOException {
        try (InputStream program = PtxText.class.getResourceAsStream("PtxText.class")) {
            return HexFormat.of().formatHex(KernelSources.sha256().digest(program.readAllBytes()));
        }
    }

    private String cubinKey(Ptxas assembler, KernelImage image) throws IOException {
        byte[] text = Files.readAllBytes(work.resolve(image.ptx().fileName()));
        return String.join("\n", assembler.version(), String.join(" ", Ptxas.flags(image)),
                HexFormat.of().formatHex(KernelSources.sha256().digest(text)));
    }

    /** What is done for one image. */
    private interface Work {
        void on(KernelImage image) throws IOException, InterruptedException;
    }

    private void inParallel(String compiler, List<KernelImage> images, Work work) throws IOException, InterruptedException {
        if (images.isEmpty()) {
            return;
        }
        int threads = Math.min(images.size(), Runtime.getRuntime().availableProcessors());
        out.println("kernels: " + compiler + " makes " + images.size() + " image(s), " + threads + " at a time");
        long start = System.nanoTime();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            List<Callable<Void>> tasks = images.stream().map(image -> (Callable<Void>) () -> {
                work.on(image);
                return null;
            }).toList();
            for (Future<Void> done : pool.invokeAll(tasks)) {
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
        out.printf(Locale.ROOT, "kernels: in %.1f s%n", (System.nanoTime() - start) * 1e-9);
    }

    // ---- resources ----

    private void checkResources(List<KernelImage> images) throws IOException {
        StringBuilder text = new StringBuilder(PtxasLog.HEADER);
        List<String> faults = new ArrayList<>();
        for (KernelImage image : images) {
            if (!image.isPtx()) {
                String log = Files.readString(work.resolve(image.fileName() + ".log"));
                faults.addAll(PtxasLog.faults(image.fileName(), log, image.family().registers()));
                PtxasLog.parse(log).forEach(function -> text.append(function.line()));
            }
        }
        Files.writeString(report, text);
        if (!faults.isEmpty()) {
            throw new KernelBuildException(String.join("\nkernels: ", faults));
        }
    }

    // ---- publishing ----

    private void publish(Nvcc nvcc, List<KernelImage> images) throws IOException {
        if (Files.isDirectory(published)) {
            for (Path old : KernelSources.sorted(published, Files::isRegularFile)) {
                Files.delete(old);
            }
            Files.delete(published);
        }
        if (images.isEmpty()) {
            return;
        }
        Files.createDirectories(published);
        StringBuilder manifest = new StringBuilder("# The CUDA images beside this file.\nnvcc=" + nvcc.version() + "\nimages="
                + images.stream().map(KernelImage::fileName).collect(Collectors.joining(",")) + "\n");
        for (KernelImage image : images) {
            Path made = work.resolve(image.fileName());
            Files.copy(made, published.resolve(image.fileName()));
            String ptx = image.ptxVersion() / 10 + "." + image.ptxVersion() % 10;
            fact(manifest, image, "source.sha256", sources.hash(image.family()));
            fact(manifest, image, "ptx", ptx);
            if (image.isPtx()) {
                fact(manifest, image, "flags", String.join(" ", Nvcc.flags(image)));
                fact(manifest, image, "driver", LeastDriver.ofPtx(ptx));
            } else {
                String version = Files.readString(work.resolve(image.fileName() + ".ptxas"));
                fact(manifest, image, "flags", String.join(" ", Ptxas.flags(image)));
                fact(manifest, image, "ptxas", version);
                fact(manifest, image, "elf.abi", Integer.toString(Ptxas.elfAbi(made)));
                fact(manifest, image, "driver", LeastDriver.ofPtxas(version));
            }
        }
        Files.writeString(published.resolve("images.properties"), manifest);
    }

    private static void fact(StringBuilder manifest, KernelImage image, String key, String value) {
        manifest.append(image.fileName()).append('.').append(key).append('=').append(value.replace("\\", "\\\\")).append('\n');
    }
}
