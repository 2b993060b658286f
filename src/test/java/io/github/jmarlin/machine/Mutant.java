package io.github.jmarlin.machine;

import io.github.jmarlin.build.Nvcc;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** PTX texts of one kernel each: as it ships, or with something broken in the text or in the source, which is then compiled again. */
final class Mutant {
    private static final Path HEADERS = PtxSuite.ROOT.resolve("src/main/cuda");
    private static final Path OUTPUT = PtxSuite.ROOT.resolve("target/machine/mutants");
    private static final Pattern NAME =
            Pattern.compile("(striped|hopper)_(f16|bf16)_(\\w+)_g(\\d+)_m(\\d+)_n(\\d+)(?:_p(\\d+)_s(\\d+))?(?:_h(\\d+))?");

    /** The device's name of a weight's form by its tag. */
    private static final Map<String, String> FORMS = Map.of("sym", "Symmetric4", "zp", "ZeroPoints4", "fz", "FloatZero4",
            "sp24", "SparseSymmetric4", "i8", "Symmetric8", "i8zp", "ZeroPoints8", "i8fz", "FloatZero8", "fp4", "E2m1");

    private static final Pattern DECODER =
            Pattern.compile("decoder_(embed|norm|rotary|attention|silu_mul|product|argmax)(?:_(f16|bf16)(?:_(floats|same)_m(\\d+))?)?");

    private Mutant() {
    }

    static Path of(Mutation mutation) throws IOException {
        return mutation.ofPtx() ? text(mutation.entry(), mutation.apply(shipped(mutation.entry()))) : compiled(mutation);
    }

    /** The kernel as it ships. */
    static Path unbroken(String entry) throws IOException {
        return text(entry, shipped(entry));
    }

    /** The forms of 4-bit integers share an image, and those of 8-bit ones; it is named after neither's offset. */
    private static String imageTag(String form) {
        return form.equals("sym") || form.equals("zp") ? "" : form.startsWith("i8") ? "_i8" : "_" + form;
    }

    // ---- The text ----

    /** Of an image's text what belongs to one entry. */
    private static String shipped(String entry) throws IOException {
        Matcher name = NAME.matcher(entry);
        String module = !name.matches() ? entry.substring(0, entry.indexOf('_'))
                : name.group(1) + imageTag(name.group(3)) + (name.group(9) == null ? "" : "_halves") + entry.substring(name.start(5) - 2);
        String images = module + "\\." + target(entry);
        String text = Files.readString(PtxSuite.texts(images).get(0));
        int files = text.indexOf("\n\t.file\t");
        String[] entries = (files < 0 ? text : text.substring(0, files)).split("(?=\\.visible \\.entry )");
        for (int i = 1; i < entries.length; i++) {
            if (entries[i].startsWith(".visible .entry " + entry + "(")) {
                return entries[0] + entries[i] + (files < 0 ? "" : text.substring(files));
            }
        }
        throw new IOException("no entry " + entry + " in " + PtxSuite.texts(images).get(0));
    }

    private static Path text(String entry, String text) throws IOException {
        Files.createDirectories(OUTPUT);
        return Files.writeString(OUTPUT.resolve(entry + "-" + hash(text) + ".ptx"), text);
    }

    // ---- The source ----

    /** The kernel by itself, behind headers of which one is changed. */
    private static Path compiled(Mutation mutation) throws IOException {
        Map<Path, String> sources = headers();
        if (!sources.containsKey(Path.of(mutation.file()))) {
            throw new IOException("no " + mutation.file() + " in " + HEADERS);
        }
        sources.computeIfPresent(Path.of(mutation.file()), (file, source) -> mutation.apply(source));
        return compiled(mutation.entry(), sources, instance(mutation.entry()), target(mutation.entry()));
    }

    private static String target(String entry) {
        return entry.startsWith("hopper") ? "compute_90a" : "compute_80";
    }

    /** The kernels of {@code probes.cu}. */
    static Path probes() throws IOException {
        return compiled("probes", headers(), Files.readString(PtxSuite.SOURCES.resolve("probes.cu")), "compute_90a");
    }

    private static Map<Path, String> headers() throws IOException {
        Map<Path, String> sources = new TreeMap<>();
        try (Stream<Path> files = Files.walk(HEADERS)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".cuh")).toList()) {
                sources.put(HEADERS.relativize(file), Files.readString(file));
            }
        }
        return sources;
    }

    /** A source file and its headers to PTX; not again if nothing it is made from is new. */
    private static Path compiled(String name, Map<Path, String> sources, String source, String target) throws IOException {
        sources.put(Path.of("mutant.cu"), source);
        Nvcc nvcc = nvcc();
        Path result = OUTPUT.resolve(name + "-" + hash(nvcc.version() + target + sources) + ".ptx");
        if (!Files.exists(result)) {
            Path folder = Files.createTempDirectory(Files.createDirectories(OUTPUT), "sources");
            for (Map.Entry<Path, String> file : sources.entrySet()) {
                Files.createDirectories(folder.resolve(file.getKey()).getParent());
                Files.writeString(folder.resolve(file.getKey()), file.getValue());
            }
            Path fresh = folder.resolve("mutant.ptx");
            MachineBuild.run(List.of(nvcc.path().toString(), "-std=c++17", "-O3", "-lineinfo", "-ptx", "-arch=" + target, "-I" + folder,
                    folder.resolve("mutant.cu").toString(), "-o", fresh.toString()));
            Files.move(fresh, result, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            try (Stream<Path> left = Files.walk(folder)) {
                for (Path path : left.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
        return result;
    }

    /** A source file with one entry: what the family's own has, for these numbers. */
    private static String instance(String entry) throws IOException {
        Matcher decoder = DECODER.matcher(entry);
        if (decoder.matches()) {
            return instance(entry, decoder);
        }
        Matcher name = NAME.matcher(entry);
        if (!name.matches()) {
            throw new IOException("not the name of a kernel: " + entry);
        }
        String element = name.group(2).equals("f16") ? "Half, " : "Bfloat16, ";
        String tile = ", " + name.group(5) + ", " + name.group(6) + (name.group(9) == null ? "" : ", " + name.group(9));
        String form = name.group(3);
        int scaleRows = Math.max(1, (form.equals("sp24") ? 128 : 64) / Integer.parseInt(name.group(4)));
        boolean striped = name.group(1).equals("striped");
        int cluster = striped ? 1 : Integer.parseInt(name.group(7)) * Integer.parseInt(name.group(8));
        String kernel = striped ? "striped_gemm<StripedShape<" + element + FORMS.get(form) + ", " + scaleRows + tile + ">>"
                : "hopper::multiply<hopper::Shape<" + element + FORMS.get(form) + ", " + scaleRows + tile + ", "
                        + name.group(7) + ", " + name.group(8) + ">>";
        return "#include \"" + name.group(1) + "/" + name.group(1) + ".cuh\"\nusing namespace jmarlin;\nextern \"C\" __global__ void "
                + (striped ? "__launch_bounds__(256, 1) " : "__cluster_dims__(" + cluster + ") __launch_bounds__(hopper::kThreads, 1) ")
                + entry + "(const __grid_constant__ GemmArgs args) {\n    " + kernel + "(args);\n}\n";
    }

    private static String instance(String entry, Matcher name) {
        String what = name.group(1);
        String args = Pattern.compile("(?:^|_)(\\w)").matcher(what).replaceAll(first -> first.group(1).toUpperCase(Locale.ROOT)) + "Args";
        String types = name.group(2) == null ? "" : name.group(2).equals("f16") ? "Half" : "Bfloat16";
        if (name.group(3) != null) {
            types += ", " + name.group(3).equals("floats") + ", " + Integer.parseInt(name.group(4)) / 8;
        }
        return "#include \"decoder/" + what + ".cuh\"\nusing namespace jmarlin;\nextern \"C\" __global__ void __launch_bounds__(256) "
                + entry + "(const __grid_constant__ " + args + " args) {\n    " + what + (types.isEmpty() ? "" : "<" + types + ">")
                + "(args);\n}\n";
    }

    static Nvcc nvcc() throws IOException {
        try {
            return Nvcc.find(System.getenv(), Nvcc.usualPlaces());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    static String hash(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
