package io.github.jmarlin.plan;

import io.github.jmarlin.JMarlinException;
import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Properties;
import java.util.UUID;
import java.util.function.Supplier;

/**
 * The file that keeps a machine's {@link KernelChecks}: Java properties, beside the device's tuning file and named after it,
 * {@code TUNINGFILE.check}.
 *
 * <pre>
 * version=1
 * device=NVIDIA H200, compute capability 90, 132 SMs
 * driver=13000
 * images=5c0f...
 * striped=passed: 64 instances
 * striped_sp24=unchecked: the driver of CUDA 12.2 takes no kernel image of striped_sp24_m8_n64
 * hopper=failed: hopper_f16_sym_g64_m8_n128_p1_s1 for 5 rows: row 3, column 77 is 12.5 instead of 13.0
 * </pre>
 *
 * What was found with another device, driver or other images means nothing.
 */
public final class CheckFile {
    private static final String VERSION = "1";
    private static final int LARGEST_FILE = 100_000;

    private CheckFile() {
    }

    /**
     * What the answers depend on.
     *
     * @param device the GPU
     * @param driver CUDA version of its driver, 13000 for 13.0
     * @param images a hash of the kernel images that the device can get
     */
    public record Machine(DeviceFacts device, int driver, String images) {
        private Properties properties() {
            Properties properties = new Properties();
            properties.setProperty("version", VERSION);
            properties.setProperty("device", String.format(Locale.ROOT, "%s, compute capability %d, %d SMs", device.name(),
                    device.computeCapability(), device.multiprocessors()));
            properties.setProperty("driver", Integer.toString(driver));
            properties.setProperty("images", images);
            return properties;
        }
    }

    /** Where it is; empty if there is no tuning file either: {@code -Djmarlin.tuning=none}. */
    public static Optional<Path> location(DeviceFacts device) {
        return TuningFile.location(device).map(file -> file.resolveSibling(file.getFileName() + ".check"));
    }

    /**
     * What is known of a device; nothing, with the reason, if a file that is there cannot be used. Never throws.
     *
     * @param machine asked only if there is a file
     */
    public static KernelChecks load(DeviceFacts device, Supplier<Machine> machine) {
        try {
            Optional<Path> file = location(device);
            return file.isEmpty() || Files.notExists(file.get()) ? KernelChecks.NONE : read(file.get(), machine.get());
        } catch (IOException | IllegalArgumentException | JMarlinException e) {      // not a path at all, no properties, no images
            return KernelChecks.ignored("the file of checks cannot be read: " + e.getMessage());
        }
    }

    private static KernelChecks read(Path file, Machine machine) throws IOException {
        if (Files.size(file) > LARGEST_FILE) {
            return KernelChecks.ignored(file + " has more than " + LARGEST_FILE + " bytes");
        }
        Properties stored = new Properties();
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            stored.load(reader);
        }
        Properties expected = machine.properties();
        for (String key : expected.stringPropertyNames()) {
            if (!expected.getProperty(key).equals(stored.getProperty(key))) {
                return KernelChecks.ignored("what " + file + " says was found with another " + key + " (" + stored.getProperty(key)
                        + ", now " + expected.getProperty(key) + ")");
            }
        }
        KernelChecks checks = KernelChecks.NONE;
        for (KernelFamily family : KernelFamily.values()) {
            for (KernelSet set : KernelSet.values()) {
                Kernels kernels = new Kernels(family, set);
                String text = stored.getProperty(kernels.toString());
                if (text != null) {
                    checks = checks.with(kernels, result(file, kernels, text));
                }
            }
        }
        return checks;
    }

    private static KernelChecks.Result result(Path file, Kernels kernels, String text) {
        String[] parts = text.split(": ", 2);
        return Arrays.stream(KernelChecks.Outcome.values())
                .filter(outcome -> parts.length == 2 && word(outcome).equals(parts[0])).findFirst()
                .map(outcome -> new KernelChecks.Result(outcome, parts[1]))
                .orElseThrow(() -> new IllegalArgumentException(file + ": " + kernels + "=" + text + ": must begin with one of "
                        + Arrays.stream(KernelChecks.Outcome.values()).map(CheckFile::word).toList() + " and a colon"));
    }

    private static String word(KernelChecks.Outcome outcome) {
        return outcome.name().toLowerCase(Locale.ROOT);
    }

    /**
     * Replaces the file in one step, and makes its folder.
     *
     * @throws IOException if it cannot be written; the old file is then as it was
     */
    public static void write(Path file, Machine machine, KernelChecks checks) throws IOException {
        Properties properties = machine.properties();
        checks.results().forEach((kernels, result) -> properties.setProperty(kernels.toString(), result.toString()));
        Path folder = file.toAbsolutePath().getParent();
        Path unfinished = folder.resolve(file.getFileName() + "." + UUID.randomUUID() + ".unfinished");
        try {
            Files.createDirectories(folder);
            try (Writer writer = Files.newBufferedWriter(unfinished, StandardCharsets.UTF_8, StandardOpenOption.CREATE_NEW)) {
                properties.store(writer, "Which of JMarlin's kernels gave the right answers on this machine: jmarlin check");
            }
            Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new IOException("file of checks " + file + " cannot be written: " + e, e);
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }
}
