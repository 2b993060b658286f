package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.plan.KernelChecks.Outcome;
import io.github.jmarlin.plan.KernelChecks.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckFileTest {
    private static final String PROPERTY_BEFORE = System.getProperty(TuningFile.PROPERTY, TuningFile.OFF);
    private static final CheckFile.Machine MACHINE = new CheckFile.Machine(PlannerTest.H200, 13000, "5c0f");
    private static final KernelChecks CHECKS = KernelChecks.NONE
            .with(KernelFamily.STRIPED, new Result(Outcome.PASSED, "64 instances"))
            .with(KernelFamily.HOPPER, new Result(Outcome.FAILED, "one: row 3,\n column 7 is NaN = wrong # \u00fc"))
            .with(KernelFamily.DENSE, new Result(Outcome.UNCHECKED, "no cuBLAS"))
            .with(new Kernels(KernelFamily.STRIPED, KernelSet.SPARSE), new Result(Outcome.FAILED, "another"));

    @TempDir
    Path folder;
    private Path file;

    @BeforeEach
    void askForAFile() {
        System.setProperty(TuningFile.PROPERTY, folder.resolve("new/tuning.json").toString());
        file = folder.resolve("new/tuning.json.check");
    }

    @AfterEach
    void restoreProperty() {
        System.setProperty(TuningFile.PROPERTY, PROPERTY_BEFORE);
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        assertEquals(file, CheckFile.location(PlannerTest.H200).orElseThrow());
        assertEquals(KernelChecks.NONE, CheckFile.load(PlannerTest.H200, () -> MACHINE));
        CheckFile.write(file, MACHINE, KernelChecks.NONE.with(KernelFamily.STRIPED, new Result(Outcome.FAILED, "before")));
        CheckFile.write(file, MACHINE, CHECKS);
        assertEquals(CHECKS, CheckFile.load(PlannerTest.H200, () -> MACHINE));
        assertEquals(Map.of(Kernels.of(KernelFamily.STRIPED), new Result(Outcome.PASSED, "64 instances"), Kernels.of(KernelFamily.HOPPER),
                new Result(Outcome.FAILED, "one: row 3, column 7 is NaN = wrong # \u00fc"), Kernels.of(KernelFamily.DENSE),
                new Result(Outcome.UNCHECKED, "no cuBLAS"), new Kernels(KernelFamily.STRIPED, KernelSet.SPARSE),
                new Result(Outcome.FAILED, "another")), CheckFile.load(PlannerTest.H200, () -> MACHINE).results());
        try (Stream<Path> files = Files.list(folder.resolve("new"))) {
            assertEquals(List.of(file), files.toList());
        }
    }

    @Test
    void anotherDeviceDriverOrImageMakesItMeanNothing() throws IOException {
        CheckFile.write(file, MACHINE, CHECKS);
        DeviceFacts smaller = new DeviceFacts("H200", 9, 0, 114, 232448, 0, 0, 0, 0);
        Map<CheckFile.Machine, String> others = Map.of(
                new CheckFile.Machine(PlannerTest.H200, 13010, "5c0f"), "another driver (13000, now 13010)",
                new CheckFile.Machine(PlannerTest.H200, 13000, "77"), "another images (5c0f, now 77)",
                new CheckFile.Machine(smaller, 13000, "5c0f"),
                "another device (H200, compute capability 90, 132 SMs, now H200, compute capability 90, 114");
        others.forEach((machine, why) -> {
            KernelChecks checks = CheckFile.load(machine.device(), () -> machine);
            assertTrue(checks.isEmpty() && checks.note().contains(why), checks.toString());
        });
    }

    @Test
    void badFilesAreIgnoredWithAReason() throws IOException {
        CheckFile.write(file, MACHINE, CHECKS);
        String good = Files.readString(file);
        for (String[] change : new String[][] {{"hopper=failed", "hopper=fine", "must begin with one of [passed, failed, unchecked]"},
                {"version=1", "version=2", "another version"}, {"striped", "\\u12", "cannot be read"}}) {
            assertTrue(good.contains(change[0]), good);
            Files.writeString(file, good.replace(change[0], change[1]));
            KernelChecks checks = CheckFile.load(PlannerTest.H200, () -> MACHINE);
            assertTrue(checks.isEmpty() && checks.note().contains(change[2]), checks.toString());
        }
        Files.writeString(file, good + "#".repeat(100_000));
        assertTrue(CheckFile.load(PlannerTest.H200, () -> MACHINE).note().contains("more than 100000 bytes"));
        System.setProperty(TuningFile.PROPERTY, "\0");
        assertTrue(CheckFile.load(PlannerTest.H200, () -> MACHINE).isEmpty());
        System.setProperty(TuningFile.PROPERTY, TuningFile.OFF);
        assertEquals(KernelChecks.NONE, CheckFile.load(PlannerTest.H200, () -> MACHINE));
        assertTrue(CheckFile.location(PlannerTest.H200).isEmpty());
    }

    @Test
    void whatCannotBeWrittenLeavesTheOldFile() throws IOException {
        Path busy = Files.createDirectories(folder.resolve("busy/inside")).getParent();
        String message = assertThrows(IOException.class, () -> CheckFile.write(busy, MACHINE, CHECKS)).getMessage();
        assertTrue(message.startsWith("file of checks " + busy + " cannot be written"), message);
        assertTrue(Files.isDirectory(busy.resolve("inside")));
    }
}
