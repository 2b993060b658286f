package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.machine.StandIn;
import io.github.jmarlin.plan.CheckFile;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelChecks.Outcome;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.TuningFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole check on a device of compute capability 9.0: the processes, what they find in the kernels, what is stored and planned. */
@Tag("hopper")
class KernelCheckStandInTest {
    private static final String TUNING_BEFORE = System.getProperty(TuningFile.PROPERTY, TuningFile.OFF);
    private static final Duration LONG = Duration.ofSeconds(900);

    @TempDir
    Path folder;

    @BeforeEach
    void askForAFileAndOwnImages() throws IOException {
        StandIn.assumeLoaded();
        System.setProperty(TuningFile.PROPERTY, folder.resolve("tuning.json").toString());
        Files.createDirectory(folder.resolve("images"));
        System.setProperty(KernelImages.FOLDER_PROPERTY, StandIn.copyImages(folder.resolve("images"), "").toString());
    }

    @AfterEach
    void restoreProperties() {
        System.setProperty(TuningFile.PROPERTY, TUNING_BEFORE);
        System.clearProperty(KernelImages.FOLDER_PROPERTY);
    }

    /** As a new process finds it. */
    private static CudaDevice device() {
        return new CudaDevice(0, CudaDriver.devices().get(0).facts());
    }

    private void plant(String module, String text, String other) throws IOException {
        try (Stream<Path> images = Files.list(folder.resolve("images"))) {
            for (Path image : images.filter(file -> file.getFileName().toString().startsWith(module + ".")).toList()) {
                String before = Files.readString(image);
                String after = before.replaceAll(text, other);
                assertFalse(before.equals(after), text + " is not in " + image);
                Files.writeString(image, after);
            }
        }
    }

    @Test
    void aWrongAnswerIsFoundStoredAndKeptOutOfPlans() throws IOException {
        plant("hopper_m8_n128_p1_s1", ", 1, 1, 1, 0;", ", 0, 1, 1, 0;");
        KernelChecks checks = device().check(LONG, false);
        assertEquals(Optional.empty(), checks.failure(KernelFamily.STRIPED), checks.toString());
        assertTrue(checks.passed(KernelFamily.STRIPED), checks.toString());
        String failure = checks.failure(KernelFamily.HOPPER).orElseThrow(() -> new AssertionError(checks.toString()));
        assertTrue(failure.matches("hopper_f16_sym_g64_m8_n128_p1_s1, 5 rows: row \\d+, column \\d+ is \\S+ instead of \\S+"), failure);
        assertEquals(checks, device().checks());
        assertTrue(Files.exists(folder.resolve("tuning.json.check")));
        // Not asked again, and not believed of other images.
        assertEquals(checks, device().check(LONG, false));
        plant("hopper_m8_n128_p1_s1", ", 0, 1, 1, 0;", ", 1, 1, 1, 0;");
        KernelChecks other = device().checks();
        assertTrue(other.isEmpty() && other.note().contains("found with another images"), other.toString());
    }

    @Test
    void aFaultCostsNobodyElse() throws IOException {
        plant("striped_m8_n64", "(st\\.global\\.v4\\.u32 \\[%rd\\d+)", "$1+1073741824");
        plant("hopper_m8_n128_p1_s1", ", 1, 1, 1, 0;", ", 0, 1, 1, 0;");
        System.setProperty(TuningFile.PROPERTY, TuningFile.OFF);
        CudaDevice device = device();
        KernelChecks checks = device.check(LONG, false);
        String failure = checks.failure(KernelFamily.STRIPED).orElseThrow(() -> new AssertionError(checks.toString()));
        assertTrue(failure.startsWith("striped_f16_sym_g64_m8_n64, 5 rows: ") && failure.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), failure);
        assertTrue(checks.failure(KernelFamily.HOPPER).isPresent(), checks.toString());
        // Without a file this process alone knows.
        assertEquals(checks, device.checks());
        assertEquals(KernelChecks.NONE, device().checks());
        try (Stream<Path> files = Files.list(folder)) {
            assertEquals(List.of(folder.resolve("images")), files.toList());
        }
    }

    @Test
    @Tag("long")
    void whatShipsPasses() throws IOException {
        KernelChecks checks = device().check(LONG, false);
        assertEquals(Outcome.PASSED, checks.results().get(Kernels.of(KernelFamily.STRIPED)).outcome(), checks.toString());
        assertEquals(new KernelChecks.Result(Outcome.PASSED, "192 instances"), checks.results().get(Kernels.of(KernelFamily.HOPPER)));
        assertTrue(CheckFile.location(device().facts()).filter(Files::exists).isPresent());
    }
}
