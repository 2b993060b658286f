package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class ImageFamilyTest {

    /** Whatever publishes an argument's layout in the sources is checked when it is loaded. */
    @Test
    @Tag("source-tree")
    void everyFolderThatPublishesALayoutIsAFamily() throws IOException {
        TreeSet<String> published = new TreeSet<>();
        for (Path entry : entryFiles()) {
            Matcher name = Pattern.compile("jmarlin_(\\w+)_abi\\[\\]").matcher(Files.readString(entry));
            if (name.find()) {
                assertEquals(entry.getFileName().toString(), name.group(1) + ".cu", "named after its file");
                assertEquals("jmarlin_" + name.group(1) + "_abi", ImageFamily.abiName(name.group(1) + "_m8_n64"));
                published.add(entry.getParent().getFileName().toString());
            }
        }
        published.remove("empty");      // without an argument, and only the benchmarks' to load
        assertEquals(published, Arrays.stream(ImageFamily.values()).map(ImageFamily::folder)
                .collect(Collectors.toCollection(TreeSet::new)));
    }

    /** What the loader holds a driver's compilation to is what the build holds ptxas to. */
    @Test
    @Tag("source-tree")
    void hopperCountsOnTheRegistersOfItsSource() throws IOException {
        for (Path entry : entryFiles()) {
            assertEquals(entry.getParent().endsWith("hopper"), Files.readString(entry).contains("\n// registers: "
                    + ImageFamily.HOPPER_REGISTERS + "\n"), entry.toString());
        }
        assertEquals(8, ImageFamily.HOPPER.kernelsToCheck("hopper_m8_n128_p1_s1").size());
        assertEquals(List.of("striped_f16_sym_g64_m8_n64"), ImageFamily.STRIPED.kernelsToCheck("striped_m8_n64"));
        assertEquals(List.of("striped_f16_sp24_g128_m8_n64"), ImageFamily.STRIPED.kernelsToCheck("striped_sp24_m8_n64"));
        List<String> eightBits = ImageFamily.HOPPER.kernelsToCheck("hopper_i8_m8_n128_p1_s4");
        assertTrue(eightBits.contains("hopper_bf16_i8fz_g32_m8_n128_p1_s4") && eightBits.size() == 10, eightBits.toString());
        assertEquals(List.of(), ImageFamily.GATHER.kernelsToCheck("gather"));
    }

    private static List<Path> entryFiles() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of("src", "main", "cuda"))) {
            return files.filter(file -> file.toString().endsWith(".cu")).sorted().toList();
        }
    }

    @Test
    void aKernelBelongsToItsFirstWord() {
        assertEquals(ImageFamily.STRIPED, ImageFamily.of("striped_f16_sym_g64_m8_n64"));
        assertEquals(ImageFamily.DEQUANTIZE, ImageFamily.of("dequantize_finish_f16"));
        assertEquals("striped_m8_n64", ImageFamily.STRIPED.module("striped_f16_sym_g64_m8_n64"));
        assertEquals("striped_halves_m64_n256_h2", ImageFamily.STRIPED.module("striped_bf16_zp_g32_m64_n256_h2"));
        assertEquals(List.of("striped_f16_sym_g64_m64_n256_h2"), ImageFamily.STRIPED.kernelsToCheck("striped_halves_m64_n256_h2"));
        assertEquals("jmarlin_striped_halves_abi", ImageFamily.abiName("striped_halves_m64_n256_h2"));
        assertEquals("hopper_m128_n256_p2_s2", ImageFamily.HOPPER.module("hopper_bf16_zp_g32_m128_n256_p2_s2"));
        assertEquals("dequantize", ImageFamily.DEQUANTIZE.module("dequantize_finish_f16"));
        assertEquals("gather", ImageFamily.GATHER.module("gather_16bit"));
        assertEquals("striped_sp24_m8_n64", ImageFamily.STRIPED.module("striped_bf16_sp24_g64_m8_n64"));
        assertEquals("hopper_i8_m8_n128_p1_s4", ImageFamily.HOPPER.module("hopper_f16_i8zp_g32_m8_n128_p1_s4"));
        assertEquals("dequantize", ImageFamily.DEQUANTIZE.module("dequantize_bf16_zp_g32"));
        assertEquals("dequantize_fp4", ImageFamily.DEQUANTIZE.module("dequantize_f16_fp4_g16"));
        assertEquals("decoder", ImageFamily.DECODER.module("decoder_product_f16_floats_m8"));
        assertEquals("jmarlin_gather_abi", ImageFamily.abiName("gather"));
        assertEquals("jmarlin_striped_abi", ImageFamily.abiName("striped_m8_n64"));
        assertEquals("jmarlin_hopper_i8_abi", ImageFamily.abiName("hopper_i8_m8_n128_p1_s4"));
        for (String stranger : List.of("empty", "striped", "stripedf16", "")) {
            assertTrue(assertThrows(IllegalArgumentException.class, () -> ImageFamily.of(stranger)).getMessage()
                    .contains("kernel " + stranger));
        }
    }
}
