package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.build.MachineCode;
import io.github.jmarlin.cuda.image.KernelImages;
import io.github.jmarlin.machine.StandIn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which image drivers of several years load on cards of several years, Java to JCuda to the stand-in driver; or which reason is shown. */
@Tag("gpu-on-stand-in")
@Tag("source-tree")
class ImageMatrixTest {
    private static final String STRIPED = "striped_m8_n64.";
    private static final String HOPPER = "hopper_m8_n128_p1_s1.";
    private static final List<String> MACHINE_CODE = List.of("sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120");

    /** As nvcc 13 makes them; what R525 to R575 refuse of it, and what older PTX versions are for. */
    @TempDir
    private static Path ofCuda13;
    /** As a release makes them with an older assembler for the older architectures. */
    @TempDir
    private static Path released;

    @TempDir
    private Path folder;

    @BeforeAll
    static void images() throws IOException, InterruptedException {
        StandIn.assumeLoaded();
        MachineCode.assemble("striped_m8_n64", MACHINE_CODE, ofCuda13);
        MachineCode.assemble("hopper_m8_n128_p1_s1", List.of("sm_90a"), ofCuda13);
        // A plan of the demo's may take the wider tile.
        for (String wider : List.of("striped_m8_n128.compute_80.ptx", "striped_m8_n128.compute_90a.ptx")) {
            Files.copy(Path.of("target/classes/io/github/jmarlin/cuda/images", wider), ofCuda13.resolve(wider));
        }
        try (Stream<Path> images = Files.list(ofCuda13)) {
            for (Path image : images.toList()) {
                Files.copy(image, released.resolve(image.getFileName()));
            }
        }
        for (String older : List.of(STRIPED + "sm_80", STRIPED + "sm_86", STRIPED + "sm_89", STRIPED + "sm_90a", HOPPER + "sm_90a")) {
            Path image = released.resolve(older + ".cubin");
            if (MachineCode.elfAbi(image) != 7) {
                MachineCode.asOfCuda12(image);
            }
        }
    }

    @BeforeEach
    void machineCodeIsLoaded() {
        StandIn.reset();
        StandIn.set("devices", 1);
        StandIn.set("machine_code", 1);
        StandIn.set("shared", 232_448);
    }

    @AfterEach
    void reset() {
        System.clearProperty(KernelImages.FOLDER_PROPERTY);
        StandIn.reset();
    }

    @ParameterizedTest
    @CsvSource({
        "11080,  80, compute_80.ptx, none", "11080,  86, compute_80.ptx, none", "11080,  89, compute_80.ptx, none",
        "11080,  90, compute_80.ptx, none", "11080, 100, none, none",           "11080, 120, none, none",
        "12020,  80, sm_80.cubin, none",    "12020,  86, sm_86.cubin, none",    "12020,  89, sm_89.cubin, none",
        "12020,  90, sm_90a.cubin, sm_90a.cubin", "12020, 100, none, none",     "12020, 120, none, none",
        "12060,  80, sm_80.cubin, none",    "12060,  86, sm_86.cubin, none",    "12060,  89, sm_89.cubin, none",
        "12060,  90, sm_90a.cubin, sm_90a.cubin", "12060, 100, none, none",     "12060, 120, none, none",
        "12080,  80, sm_80.cubin, none",    "12080,  86, sm_86.cubin, none",    "12080,  89, sm_89.cubin, none",
        "12080,  90, sm_90a.cubin, sm_90a.cubin", "12080, 100, sm_100.cubin, none", "12080, 120, sm_120.cubin, none",
        "13000,  80, sm_80.cubin, none",    "13000,  86, sm_86.cubin, none",    "13000,  89, sm_89.cubin, none",
        "13000,  90, sm_90a.cubin, sm_90a.cubin", "13000, 100, sm_100.cubin, none", "13000, 120, sm_120.cubin, none"})
    void aReleaseHasMachineCodeForEveryDriverOfItsCards(int driver, int card, String striped, String hopper) throws Exception {
        check(released, driver, card, striped, hopper);
    }

    @ParameterizedTest
    @CsvSource({"12020, 80, compute_80.ptx, none", "12020, 90, compute_90a.ptx, compute_90a.ptx", "12060, 86, compute_80.ptx, none",
        "12080, 89, compute_80.ptx, none", "12080, 90, compute_90a.ptx, compute_90a.ptx", "12080, 120, sm_120.cubin, none",
        "13000, 86, sm_86.cubin, none", "13000, 90, sm_90a.cubin, sm_90a.cubin", "13000, 103, sm_100.cubin, none",
        "13000, 87, sm_86.cubin, none", "13000, 121, sm_120.cubin, none", "13000, 110, compute_80.ptx, none"})
    void whatNvcc13MakesServesOlderDriversAsPtx(int driver, int card, String striped, String hopper) throws Exception {
        check(ofCuda13, driver, card, striped, hopper);
    }

    private static void check(Path images, int driver, int card, String striped, String hopper) throws Exception {
        String text = look(images, driver, card);
        boolean visible = card < 100 || driver >= 12080;
        assertEquals(visible, text.startsWith("best cuda: the only usable GPU"), text);
        assertTrue(text.contains("\ninfo 0 \n"), text);
        if (!visible) {
            assertTrue(text.startsWith("best cpu: no usable GPU: the CUDA driver finds no device"), text);
            return;
        }
        assertTrue(text.contains("\nSTRIPED " + STRIPED + striped + "\n"), text);
        assertTrue(text.contains("\nHOPPER " + (hopper.equals("none") ? "none: " : HOPPER + hopper + "\n")), text);
        assertTrue(text.contains("\nplaced 64\n"), text);
        if (striped.endsWith(".ptx")) {
            assertTrue(text.contains("\ndemo 0 \n"), text);
        }
        // What was refused is what came before, and info shows it.
        Matcher refused = Pattern.compile("(?m)^STRIPED refused (.*)$").matcher(text);
        while (refused.find()) {
            assertTrue(text.contains("| cuda:0 refuses  " + refused.group(1)), text);
        }
    }

    /** Their PTX is of 8.5, of CUDA 12.5: an older driver refuses the one image in words, and dense weights run all the same. */
    @ParameterizedTest
    @CsvSource({"12020, false", "12040, false", "12050, true", "13000, true"})
    void olderDriversRefuseSparseWeightsAlone(int driver, boolean taken) throws Exception {
        for (String module : List.of("striped_m8_n64", "striped_m8_n128", "striped_sp24_m8_n64")) {
            Files.copy(Path.of("target/classes/io/github/jmarlin/cuda/images", module + ".compute_80.ptx"),
                    folder.resolve(module + ".compute_80.ptx"));
        }
        String text = look(folder, driver, 86);
        assertLine("placed 64", text);
        assertLine(taken ? "sparse placed 128" : "sparse not placed: .* takes no kernel image of striped_sp24_m8_n64 .*222, "
                + "CUDA_ERROR_UNSUPPORTED_PTX_VERSION.*", text);
    }

    @Test
    void everyRefusalIsKeptInOrder() throws Exception {
        Files.copy(ofCuda13.resolve(STRIPED + "sm_80.cubin"), folder.resolve(STRIPED + "sm_80.cubin"));
        Files.copy(ofCuda13.resolve(STRIPED + "sm_86.cubin"), folder.resolve(STRIPED + "sm_86.cubin"));
        String ptx = Files.readString(ofCuda13.resolve(STRIPED + "compute_80.ptx"));
        Files.writeString(folder.resolve(STRIPED + "compute_80.ptx"), ptx.replace("\n.version 7.4\n", "\n.version 9.0\n"));
        String text = look(folder, 12020, 86);
        String reason = "the driver of CUDA 12.2 takes no kernel image of striped_m8_n64 in " + folder + " for Stand-in sm_86 device .*: "
                + STRIPED + "sm_86.cubin \\(machine code\\): 200, CUDA_ERROR_INVALID_IMAGE; "
                + STRIPED + "sm_80.cubin \\(machine code\\): 200, CUDA_ERROR_INVALID_IMAGE; " + STRIPED + "compute_80.ptx \\(PTX\\): 222, "
                + "CUDA_ERROR_UNSUPPORTED_PTX_VERSION";
        assertLine("best cpu: no usable GPU: " + reason, text);
        assertLine("STRIPED none: " + reason, text);
        assertLine("not placed: " + reason, text);
        assertLine("\\| not usable +" + reason + " +\\|", text);
        assertTrue(text.contains("\ndemo 0 \n") && text.contains("\ninfo 0 \n"), text);
    }

    /** The driver's own compiler may give a kernel other registers than its warps hand on: the next image, or none. */
    @Test
    void hopperKernelsOfOtherRegistersAreRefused() throws Exception {
        StandIn.set("registers", 160);
        String text = look(ofCuda13, 13000, 90);
        String other = "hopper_f16_sym_g64_m8_n128_p1_s1 has 160 registers as the driver loaded it, and counts on 168";
        assertLine("STRIPED " + STRIPED + "sm_90a.cubin", text);
        assertLine("HOPPER none: .*sm_90a.cubin: " + other + "; .*compute_90a.ptx: " + other, text);
        assertEquals(StandIn.count("cuModuleLoadDataEx"), StandIn.count("cuModuleUnload"), "what is refused is unloaded");
    }

    /** Somebody else's kernel has spoilt the context: the image is not to blame, and no other is tried. */
    @Test
    void aSpoiltContextIsNotARefusal() throws Exception {
        StandIn.inject("cuModuleLoadDataEx", 700, 0, 1);
        String text = look(ofCuda13, 13000, 90);
        assertLine("best cpu: no usable GPU: CUDA device 0, .* does not answer: cuModuleLoadDataEx returned 700, "
                + "CUDA_ERROR_ILLEGAL_ADDRESS.*", text);
        assertFalse(text.contains("refused"), text);
        assertLine("STRIPED " + STRIPED + "sm_90a.cubin", text);      // asked again
    }

    @ParameterizedTest
    @CsvSource({"200", "209", "218", "221", "222", "223", "300", "801"})
    void refusalsLeaveTheTurnToTheNextImage(int code) throws Exception {
        StandIn.inject("cuModuleLoadDataEx", code, 0, 1);
        String text = look(ofCuda13, 13000, 86);
        assertLine("STRIPED " + STRIPED + "sm_80.cubin", text);
        assertLine("STRIPED refused " + STRIPED + "sm_86.cubin \\(machine code\\): " + code + ", CUDA_ERROR_.*", text);
        assertTrue(text.startsWith("best cuda: "), text);
    }

    /** With lazy loading the driver looks at a kernel's code when it is first asked for. */
    @Test
    void whatIsRefusedLaterIsRefusedToo() throws Exception {
        StandIn.inject("cuModuleGetFunction", 209, 0, 1);
        String text = look(ofCuda13, 13000, 86);
        assertLine("STRIPED " + STRIPED + "sm_80.cubin", text);
        assertLine("STRIPED refused " + STRIPED + "sm_86.cubin \\(machine code\\): 209, CUDA_ERROR_NO_BINARY_FOR_GPU", text);
        assertEquals(StandIn.count("cuModuleLoadDataEx"), StandIn.count("cuModuleUnload"), "what is refused is unloaded");
    }

    /** Two cards, and the driver takes nothing for the first: the second serves, and the choice says why. */
    @Test
    void theNextDeviceServes() throws Exception {
        StandIn.set("devices", 2);
        Files.copy(ofCuda13.resolve(STRIPED + "sm_86.cubin"), folder.resolve(STRIPED + "sm_86.cubin"));
        StandIn.inject("cuModuleLoadDataEx", 218, 0, 1);
        String text = look(folder, 13000, 86);
        assertLine("best cuda: the usable GPU with the fastest memory, of 2; the driver of CUDA 13.0 takes no kernel image .*: 218, "
                + "CUDA_ERROR_INVALID_PTX", text);
    }

    private static String look(Path images, int driver, int card) throws Exception {
        System.setProperty(KernelImages.FOLDER_PROPERTY, images.toString());
        StandIn.set("driver", driver);
        StandIn.set("capability", card);
        return ImageProbe.fresh();
    }

    private static void assertLine(String pattern, String text) {
        assertTrue(Pattern.compile("(?m)^" + pattern + "$").matcher(text).find(), () -> "no line " + pattern + " in:\n" + text);
    }
}
