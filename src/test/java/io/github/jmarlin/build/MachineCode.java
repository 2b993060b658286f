package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.build.KernelBuildException.NoCompiler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Machine code for tests that need some of it: assembled of the PTX that this build ships. Skips the test where that is not possible. */
public final class MachineCode {
    private static final Path TEXTS = Path.of("target/kernels");

    private MachineCode() {
    }

    /**
     * Puts images of a module into a folder, the machine code and the text it is made of.
     *
     * @param module a kernel family, or one of its tiles: {@code striped_m8_n64}
     * @param targets sm_80 and so on
     * @return the images of machine code
     */
    public static List<Path> assemble(String module, List<String> targets, Path folder) throws IOException, InterruptedException {
        Assemblers assemblers = Assemblers.of(nvcc(), System.getProperty("jmarlin.ptxas", "auto"));
        List<Path> images = new ArrayList<>();
        for (String target : targets) {
            KernelImage image = new KernelSources(Path.of("src/main/cuda")).families().stream().flatMap(family -> family.images(target))
                    .filter(one -> one.module().equals(module)).findFirst().orElseThrow();
            Path text = TEXTS.resolve(image.ptx().fileName());
            assumeTrue(Files.exists(text), () -> text + " was not compiled");
            Path copy = folder.resolve(text.getFileName());
            if (!Files.exists(copy)) {
                Files.copy(text, copy);
            }
            Path made = folder.resolve(image.fileName());
            assemblers.of(image).assemble(image, text, made);
            images.add(made);
        }
        return images;
    }

    static Nvcc nvcc() throws IOException, InterruptedException {
        try {
            return Nvcc.find(System.getenv(), Nvcc.usualPlaces());
        } catch (NoCompiler e) {
            assumeTrue(false, e.getMessage());
            throw e;
        }
    }

    /** The ABI version in an image's header. */
    public static int elfAbi(Path image) throws IOException {
        return Ptxas.elfAbi(image);
    }

    /** The same machine code in the container that ptxas 12 writes: a loader looks no further. */
    public static void asOfCuda12(Path image) throws IOException {
        byte[] bytes = Files.readAllBytes(image);
        int architecture = bytes[49] & 0xff;        // second byte of the flags
        bytes[7] = 0x33;
        bytes[8] = 7;
        bytes[48] = (byte) architecture;
        Files.write(image, bytes);
    }
}
