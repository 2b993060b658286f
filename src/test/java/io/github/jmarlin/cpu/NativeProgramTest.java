package io.github.jmarlin.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.NumberForms;
import io.github.jmarlin.testing.Numbers;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The C sources in a program of their own: under the address and undefined behaviour sanitizers, AMX by amx_emulator.c among them, and
 * for arm64 in an emulator. Its results must have the bits of the library in this JVM.
 */
@Tag("long")
@Tag("source-tree")
class NativeProgramTest {
    private static final Path SOURCES = Path.of("src/main/c").toAbsolutePath();
    private static final int RANDOM_CASES = 40;

    @TempDir
    Path folder;

    @BeforeAll
    static void needsTheLibrary() {
        assumeTrue(InstructionSet.best().set() != InstructionSet.JAVA, NativeCpu::unavailableReason);
    }

    @Test
    void sanitizersFindNothingAndBitsAreEqual() throws Exception {
        Path program = compile("gcc", true, "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all");
        for (InstructionSet set : List.of(InstructionSet.AVX2, InstructionSet.VNNI)) {
            if (set.isAvailable()) {
                checkCases(set, List.of(program.toString()));
            }
        }
        if (InstructionSet.VNNI.isAvailable()) {
            checkCases(InstructionSet.AMX, List.of(program.toString()));
        }
    }

    @Test
    void arm64HasTheSameBits() throws Exception {
        Path program = compile("aarch64-linux-gnu-gcc", false, "-O3", "-static");
        assumeTrue(Finished.of(List.of("qemu-aarch64", "-version")).status() == 0, "no qemu-aarch64 (package qemu-user)");
        checkCases(InstructionSet.NEON, List.of("qemu-aarch64", "-cpu", "max", program.toString()));
    }

    private Path compile(String compiler, boolean emulatesAmx, String... flags) throws Exception {
        assumeTrue(Finished.of(List.of(compiler, "--version")).status() == 0, "no " + compiler);
        Path program = folder.resolve("product_check");
        List<String> command = new ArrayList<>(List.of(compiler));
        command.addAll(List.of(flags));
        command.addAll(List.of("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fno-math-errno", "-I" + SOURCES, "-o",
                program.toString(), "src/test/c/product_check.c"));
        try (var files = Files.list(SOURCES)) {
            files.map(Path::toString).filter(file -> file.endsWith(".c") && !file.endsWith("jni.c")
                    && !(emulatesAmx && file.endsWith("amx_permission.c"))).sorted().forEach(command::add);
        }
        if (emulatesAmx) {
            command.add("src/test/c/amx_emulator.c");
        }
        Finished compiled = Finished.of(command);
        assertEquals(0, compiled.status(), compiled.output());
        return program;
    }

    /** The contract's shapes, every group size at its edges, then random ones. */
    private void checkCases(InstructionSet set, List<String> program) throws Exception {
        int seed = 0;
        for (int groupSize : new int[] {-1, 32, 64, 128, 256}) {
            for (int k : new int[] {1, 63, 129, 320}) {
                for (int m : new int[] {1, 2, 8, 9, 17}) {
                    check(set, program, k, 70, integers(groupSize, seed), m, seed++);
                }
            }
        }
        for (WeightForm form : NumberForms.all().toList()) {
            for (int m : new int[] {1, 2, 3, 17}) {
                check(set, program, 1 + seed * 31 % 400, 70, form, m, seed++);
            }
        }
        Random random = new Random(5);
        for (int i = 0; i < RANDOM_CASES; i++) {
            int groupSize = new int[] {-1, 32, 64, 128, 256}[random.nextInt(5)];
            check(set, program, 1 + random.nextInt(600), 1 + random.nextInt(200), integers(groupSize, seed), 1 + random.nextInt(40), seed++);
        }
    }

    private static WeightForm integers(int groupSize, int seed) {
        return WeightForm.int4(groupSize, seed % 2 == 0);
    }

    private void check(InstructionSet set, List<String> program, int k, int n, WeightForm form, int m, int seed) throws Exception {
        Random random = new Random(seed);
        DataType scaleType = random.nextBoolean() ? DataType.FP16 : DataType.BF16;
        DataType type = DataType.values()[random.nextInt(3)];
        Epilogue epilogue = epilogue(random, type, n, m);
        int columns = epilogue.outputColumns(n);
        String what = set + ": k " + k + ", n " + n + ", " + form + " in groups of " + form.groupSize() + ", m " + m + ", " + type + ", scales " + scaleType + ", " + epilogue;
        try (QuantizedMatrix matrix = TestMatrices.random(k, n, form, scaleType, random.nextBoolean(), seed);
                PackedWeights plain = PackedWeights.pack(matrix, scaleType)) {
            PackedWeights inPairs = epilogue.siluMul() ? plain.withColumns(WeightForm.Columns.GATE_UP) : plain;
            PackedWeights weights = random.nextBoolean() ? inPairs
                    : inPairs.withInputOrder(IntBuffer.wrap(IntStream.range(0, k).map(i -> k - 1 - i).toArray()));
            float[] values = TestMatrices.gaussian(m * k, seed);
            boolean refused = random.nextInt(4) == 0;
            if (refused) {
                values[0] = random.nextBoolean() ? Float.NaN : Float.NEGATIVE_INFINITY;
            }
            ByteBuffer a = Numbers.encode(type, values);
            ByteBuffer expected = ByteBuffer.allocateDirect(m * columns * epilogue.outputType(type).bytes());
            try (CpuDevice device = CpuDevice.of(1, InstructionSet.best().set()); LinearLayer layer = device.place(weights)) {
                layer.multiply(type, a, m, expected, epilogue);
            }
            CaseFile.write(folder.resolve("case"), weights, type, a, m, epilogue);
            List<String> command = new ArrayList<>(program);
            command.addAll(List.of(Integer.toString(set.number()), folder.resolve("case").toString(), folder.resolve("result").toString()));
            Finished finished = Finished.of(command);
            assertEquals(0, finished.status(), what + "\n" + finished.output());
            byte[] result = Files.readAllBytes(folder.resolve("result"));
            int rowBytes = columns * epilogue.outputType(type).bytes();
            for (int row = 0; row < m; row++) {
                boolean isRefused = refused && row == 0;
                assertEquals(isRefused ? 1 : 0, result[m * rowBytes + row], what + ": row " + row + " refused");
                byte[] bytes = new byte[rowBytes];
                expected.get(row * rowBytes, bytes);
                if (!isRefused) {
                    int at = row * rowBytes;
                    byte[] actual = Arrays.copyOfRange(result, at, at + rowBytes);
                    assertEquals(-1, Arrays.mismatch(bytes, actual), what + ", row " + row + ", byte");
                }
            }
        }
    }

    /** Each step every other time. */
    private static Epilogue epilogue(Random random, DataType type, int n, int m) {
        Epilogue epilogue = random.nextBoolean() ? Epilogue.NONE : Epilogue.NONE.withFloatOutput();
        epilogue = random.nextBoolean() && n % 2 == 0 ? epilogue.withSiluMul() : epilogue;
        epilogue = random.nextBoolean() ? epilogue
                : epilogue.withRowFactors(Numbers.encode(DataType.FP32, TestMatrices.gaussian(m, random.nextLong())));
        return random.nextBoolean() ? epilogue : epilogue.withResidual(Numbers.encode(epilogue.outputType(type),
                TestMatrices.gaussian(m * epilogue.outputColumns(n), random.nextLong())));
    }
}
