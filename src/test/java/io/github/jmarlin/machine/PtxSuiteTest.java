package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.WeightForm.Code;
import io.github.jmarlin.layout.WeightForm.Offset;
import io.github.jmarlin.layout.WeightForm.Sparsity;
import io.github.jmarlin.plan.HopperTile;
import io.github.jmarlin.plan.Stripes;
import io.github.jmarlin.plan.TileShape;
import io.github.jmarlin.plan.WeightShape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Executes the PTX of every kernel, as it ships, on the machine. What the cases are: {@code src/test/cuda/suites}. */
class PtxSuiteTest {
    private static final int SECONDS = 300;

    // ---- The test command: every entry of every image ----

    /** On exact and on real data, with races on. How many there are is part of the promise. */
    @ParameterizedTest
    @CsvSource({"striped, compute_80, 64", "striped, compute_90a, 64", "hopper, compute_90a, 192", "dequantize, compute_80, 10",
        "dequantize, compute_90a, 10", "gather, compute_80, 1", "gather, compute_90a, 1", "striped_fz, compute_80, 20",
        "striped_i8, compute_80, 42", "striped_fp4, compute_80, 30", "dequantize_fz, compute_80, 4", "dequantize_i8, compute_80, 14",
        "dequantize_fp4, compute_80, 6", "dequantize_sp24, compute_80, 4", "striped_sp24, compute_80, 20", "hopper_fz, compute_90a, 24",
        "hopper_i8, compute_90a, 60", "hopper_sp24, compute_90a, 24"})
    void everyEntryRuns(String family, String target, int entries) throws IOException {
        assertEquals(entries, passes(family, target, List.of("abi", "once", "finish", "dense")).entries());
    }

    /** Against double precision, alone and in a batch. */
    @ParameterizedTest
    @ValueSource(strings = {"compute_80", "compute_90a"})
    void everyEntryOfTheDecoderRuns(String target) throws IOException {
        assertEquals(19, passes("decoder", target, List.of("abi", "decoder_rows", "decoder_heads")).entries());
    }

    @Test
    void whatIsFetchedIsReadFirst() throws IOException {
        assertEquals(135, passes(prefetchTexts("compute_80"), List.of("prefetch")).size());
    }

    /** Bank conflicts, and bits that depend on nothing but the operands: of a few instances here, of all in the long profile. */
    @ParameterizedTest
    @CsvSource({"striped_f16_sym_g64_m16_n128, striped_m16_n128\\.compute_80",
        "striped_bf16_zp_g32_m64_n256, striped_m64_n256\\.compute_80", "striped_f16_sp24_g64_m64_n256, striped_sp24_m64_n256\\.compute_80",
        "striped_f16_zp_g64_m32_n128_h2, striped_halves_m32_n128_h2\\.compute_80"})
    void accessesAndSums(String entry, String texts) throws IOException {
        assertEquals(3, passes(PtxSuite.texts(texts), List.of("banks", "schedules", "--entry", entry)).size());
    }

    @Test
    void accessesAndSumsOfHopper() throws IOException {
        assertEquals(19, passes(PtxSuite.texts("hopper.*"), List.of("banks", "schedules")).size());
    }

    // ---- Pieces of the kernels, against words by hand and against the plan ----

    @Test
    void descriptorsFragmentsAndQuotients() throws IOException {
        assertEquals(9, passes(List.of(Mutant.probes()), List.of("golden", "fragments", "quotients")).size());
    }

    /** The partition that the kernels compute is the one that the host planned. */
    @Test
    void stripesAreThoseOfThePlan() throws IOException {
        PtxSuite.program();
        List<String> lines = PtxSuite.run(SECONDS, List.of(Mutant.probes()), List.of("stripes"));
        assertTrue(lines.size() > 100, () -> lines.size() + " partitions");
        for (String line : lines) {
            String[] words = line.substring("stripes ".length(), line.indexOf(':')).split(" ");
            int[] shape = Arrays.stream(words).mapToInt(Integer::parseInt).toArray();
            Stripes stripes = new Stripes(shape[0], shape[1], shape[2], shape[3]);
            assertEquals(shape[4], stripes.grid(), line);
            StringBuilder planned = new StringBuilder();
            for (int block = 0; block < stripes.grid(); block++) {
                for (Stripes.Portion portion : stripes.portions(block)) {
                    planned.append(String.format(" %d %d %d %d %d;", block, portion.tile(), portion.firstKBlock(), portion.endKBlock(),
                            portion.slot()));
                }
            }
            assertEquals(planned.toString(), line.substring(line.indexOf(':') + 1), () -> stripes.toString());
        }
    }

    /** The plan asks for the bytes that {@code kernel.hpp} computes and the suite {@code shared} shows to be enough, and not too many. */
    @Test
    void tilesAreThoseOfThePlan() throws IOException {
        List<Path> texts = new ArrayList<>(PtxSuite.texts("striped_.*\\.compute_80"));
        texts.addAll(PtxSuite.texts("hopper_.*"));
        TreeSet<String> planned = new TreeSet<>();
        for (DataType type : List.of(DataType.FP16, DataType.BF16)) {
            for (WeightForm form : forms()) {
                WeightShape weights = new WeightShape(256, 256, type, form);
                for (HopperTile tile : weights.hopperTiles()) {
                    int stages = tile.stagesFitting(weights, 227 * 1024);
                    planned.add("tile " + tile.kernelName(weights) + " " + tile.slotBytes(weights) + " " + stages + " "
                            + tile.sharedBytes(weights, stages));
                }
                for (TileShape tile : weights.kernels().allTiles()) {
                    planned.add("tile " + tile.kernelName(weights) + " " + tile.stageBytes(weights) + " " + TileShape.MAX_STAGES + " "
                            + tile.sharedBytes(weights, TileShape.MAX_STAGES));
                }
            }
        }
        PtxSuite.program();
        assertEquals(String.join("\n", planned), String.join("\n", new TreeSet<>(PtxSuite.run(SECONDS, texts, List.of("tiles")))));
    }

    /** Each kind of weights that kernels tell apart. */
    private static List<WeightForm> forms() {
        List<WeightForm> forms = new ArrayList<>();
        for (int group : new int[] {64, 32}) {
            for (Code code : List.of(Code.INT4, Code.INT8)) {
                for (Offset offset : Offset.values()) {
                    forms.add(WeightForm.of(code, offset, group));
                }
            }
            forms.add(WeightForm.of(Code.E2M1, Offset.MIDDLE, group));
            forms.add(WeightForm.int4(2 * group, false).withSparsity(Sparsity.TWO_OF_FOUR));
        }
        forms.add(WeightForm.of(Code.INT8, Offset.MIDDLE, 16));
        forms.add(WeightForm.of(Code.E2M1, Offset.MIDDLE, 16));
        return forms;
    }

    // ---- The long profile: every case of every entry, and what of them never runs ----

    @Tag("long")
    @ParameterizedTest
    @CsvSource({"striped, compute_80", "striped, compute_90a", "striped_fz, compute_80", "striped_fz, compute_90a", "striped_i8, compute_80",
        "striped_i8, compute_90a", "striped_fp4, compute_80", "striped_fp4, compute_90a",
        "striped_sp24, compute_80", "striped_sp24, compute_90a", "hopper, compute_90a", "hopper_fz, compute_90a", "hopper_i8, compute_90a",
        "hopper_sp24, compute_90a", "dequantize, compute_80",
        "dequantize, compute_90a", "dequantize_fz, compute_80", "dequantize_i8, compute_80", "dequantize_fp4, compute_80",
        "dequantize_sp24, compute_80",
        "gather, compute_80", "gather, compute_90a", "decoder, compute_80", "decoder, compute_90a"})
    void allCasesPassAndCoverTheInstructions(String family, String target) throws IOException {
        Covered covered = passes(family, target,
                List.of("exact", "real", "shapes", "schedules", "banks", "once", "finish", "epilogues", "every", "shared", "dense",
                        "decoder_rows", "decoder_heads"));
        List<Covered.Reason> reasons = Covered.Reason.all();
        List<Covered.Never> without = covered.never().stream()
                .filter(never -> reasons.stream().noneMatch(reason -> reason.explains(never))).toList();
        String summary = String.format("%s.%s: %d of %d instructions never ran, %.2f %% did, %d without a reason", family, target,
                covered.never().size(), covered.instructions(), covered.percent(), without.size());
        System.out.println(summary);
        assertTrue(without.isEmpty() && covered.percent() >= 98, () -> summary + ", first:\n"
                + String.join("\n", without.stream().limit(20).map(Object::toString).toList()));
    }

    @Tag("long")
    @Test
    void whatIsFetchedIsReadFirstOn90a() throws IOException {
        assertEquals(135, passes(prefetchTexts("compute_90a"), List.of("prefetch")).size());
    }

    // ----

    private static List<Path> prefetchTexts(String striped) throws IOException {
        List<Path> texts = new ArrayList<>(PtxSuite.texts("striped_(m8_n64|m16_n128|m16_n256|sp24_m16_n256)\\." + striped));
        texts.addAll(PtxSuite.texts("hopper_(m8_n128_p1_s[12]|m16_n256_p1_s4|m16_n128_p2_s2|m64_n256_p2_s1)\\.compute_90a"));
        return texts;
    }

    private static Covered passes(String family, String target, List<String> suites) throws IOException {
        PtxSuite.program();
        Path folder = Files.createDirectories(PtxSuite.ROOT.resolve("target/machine/coverage"));
        List<Path> files = new ArrayList<>();
        for (int part = 0; part < PtxSuite.PROCESSORS; part++) {
            files.add(folder.resolve(family + "." + target + "." + suites.size() + "." + part));
        }
        passed(PtxSuite.runInParts(SECONDS, PtxSuite.texts(family + "(_m\\d.*)?\\." + target), suites,
                part -> List.of("--coverage", files.get(part).toString())));
        Covered covered = new Covered(family.replaceFirst("_.*", ""));
        for (Path file : files) {
            covered.add(file);
        }
        return covered;
    }

    private static List<String> passes(List<Path> texts, List<String> words) throws IOException {
        return passed(PtxSuite.runInParts(SECONDS, texts, words));
    }

    private static List<String> passed(List<String> lines) {
        List<String> failed = lines.stream().filter(line -> !line.startsWith("ok ")).toList();
        assertTrue(failed.isEmpty(), () -> failed.size() + " of " + lines.size() + " cases, first:\n"
                + String.join("\n", failed.subList(0, Math.min(5, failed.size()))));
        return lines;
    }
}
