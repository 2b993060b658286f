package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.DeviceFacts;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelChecks.Outcome;
import io.github.jmarlin.plan.KernelChecks.Result;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What becomes of what the process of a check says, or does not say: in its place a shell. */
class KernelCheckTest {
    private static final CudaDevice A100 = new CudaDevice(0, new DeviceFacts("A100", 8, 0, 108, 166912, 40L << 20, 80L << 30, 0, 0));

    private static KernelChecks run(String script, Duration limit) {
        String words = script.replace("SAY", "echo jmarlin-check");
        return new KernelCheck(A100, (family, milliseconds) -> List.of("sh", "-c", words.replace("FAMILY", family.name())), Map.of())
                .run(limit);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "SAY ready; SAY try x; SAY passed 64 instances       | PASSED    | 64 instances",
        "SAY ready; echo noise; SAY failed x: row 1 is 2     | FAILED    | x: row 1 is 2",
        "SAY ready; SAY unchecked no cuBLAS                  | UNCHECKED | no cuBLAS",
        "SAY ready; SAY try x, 5 rows; echo at 1; exit 134   | FAILED    | x, 5 rows: its process ended with exit code 134: at 1",
        "SAY ready; SAY load x; exit 3                       | UNCHECKED | its process ended with exit code 3; after: load x",
        "SAY set INT4; SAY passed 8; SAY set FP4; SAY try x; kill -9 $$ | PASSED    | 8",
        "echo could not find main class; exit 1              | UNCHECKED | its process ended with exit code 1: could not find main class",
    })
    void endsAreTakenForWhatTheyAre(String script, Outcome outcome, String words) {
        assertEquals(new Result(outcome, words), run(script, Duration.ofSeconds(180)).results().get(Kernels.of(KernelFamily.STRIPED)));
    }

    /** Each set of weights has its own outcome; of those after a crash nothing is known. */
    @Test
    void setsAreToldApart() {
        KernelChecks checks = run("SAY ready; SAY set INT4; SAY try a; SAY passed 64 instances; SAY set SPARSE; SAY unchecked driver too old;"
                + " SAY set INT8; SAY try striped_f16_i8_g64_m8_n128; exit 139", Duration.ofSeconds(180));
        assertEquals(Map.of("striped", "passed: 64 instances", "striped_sp24", "unchecked: driver too old", "striped_i8",
                "failed: striped_f16_i8_g64_m8_n128: its process ended with exit code 139"), checks.results().entrySet().stream()
                .filter(each -> each.getKey().family() == KernelFamily.STRIPED)
                .collect(Collectors.toMap(each -> each.getKey().toString(), each -> each.getValue().toString())));
    }

    /** A kernel that never ends has failed; a driver that compiles for ever has not been asked. Neither process is left. */
    @Test
    void hangsEndWithTheTime() {
        long start = System.nanoTime();
        KernelChecks checks = run("SAY ready; test FAMILY = STRIPED && SAY try x || SAY load y; sleep 333", Duration.ofSeconds(6));
        assertEquals(Map.of(Kernels.of(KernelFamily.STRIPED), new Result(Outcome.FAILED, "x: no answer when 2.0 s were over"),
                Kernels.of(KernelFamily.DENSE), new Result(Outcome.UNCHECKED, "the 2.0 s were over after: load y")), checks.results());
        assertTrue(System.nanoTime() - start < 60e9);
        assertEquals(0, ProcessHandle.current().descendants()
                .filter(child -> child.isAlive() && child.info().commandLine().orElse("").contains("333")).count());
        checks = run("sleep 333", Duration.ofSeconds(3));
        assertEquals(new Result(Outcome.UNCHECKED, "the 1.0 s were over before the device answered"),
                checks.results().get(Kernels.of(KernelFamily.DENSE)));
    }

    @Test
    void whereNoProcessCanBeStartedTheReasonIsSaid() {
        KernelChecks checks = new KernelCheck(A100, (family, milliseconds) -> List.of("/no/such/java"), Map.of())
                .run(Duration.ofSeconds(60));
        checks.results().forEach((family, result) -> {
            assertEquals(Outcome.UNCHECKED, result.outcome());
            assertTrue(result.words().startsWith("no process can be started: ") && result.words().contains("/no/such/java"), result.words());
        });
        assertEquals(2, checks.results().size());
    }

    /** The real process, which finds no such device here. */
    @Test
    void itsOwnProcessAnswers() {
        CudaDevice absent = new CudaDevice(99, A100.facts());
        Result result = new KernelCheck(absent).run(Duration.ofSeconds(180)).results().get(Kernels.of(KernelFamily.STRIPED));
        assertEquals(Outcome.UNCHECKED, result.outcome());
        assertTrue(result.words().startsWith("a process of its own does not find the device"), result.words());
    }

    // ---- known layers ----

    /** Against the reference in fp64, and no sum so large that it could be inexact. */
    @Test
    void productsAreKnown() {
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (WeightForm form : Stream.of(KernelSet.values()).flatMap(set -> KnownLayer.forms(new Kernels(KernelFamily.STRIPED, set)).stream()).toList()) {
                try (KnownLayer layer = KnownLayer.of(type, form, true, 3); PackedWeights packed = layer.pack()) {
                    int k = layer.matrix().k();
                    float[] activations = new float[3 * k];
                    for (int i = 0; i < activations.length; i++) {
                        activations[i] = layer.activations()[i / k][i % k];
                    }
                    double[] expected = ReferenceProduct.multiply(layer.matrix(), activations, 3);
                    ByteBuffer results = ByteBuffer.allocate(2 * expected.length).order(ByteOrder.LITTLE_ENDIAN);
                    for (int i = 0; i < expected.length; i++) {
                        assertTrue(Math.abs(expected[i]) < 2048, "sum " + expected[i]);
                        results.putShort(2 * i, HalfFloats.encode(type, expected[i]));
                    }
                    assertEquals("", layer.deviation(results, 3));
                    assertEquals(packed.k(), k);
                    int one = 2 * (2 * KnownLayer.N + 7);
                    results.putShort(one, (short) (results.getShort(one) ^ 1));
                    assertTrue(layer.deviation(results, 3).startsWith("row 2, column 7 is "), layer.deviation(results, 3));
                    results.putShort(one, (short) 0x7fff);
                    assertTrue(layer.deviation(results, 3).startsWith("row 2, column 7 is NaN"), layer.deviation(results, 3));
                }
            }
        }
    }
}
