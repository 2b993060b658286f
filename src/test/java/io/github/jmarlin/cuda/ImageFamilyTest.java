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
        try (Stream<Path> folders = Files.list(Path.of("src", "main", "cuda"))) {
            for (Path folder : folders.filter(Files::isDirectory).toList()) {
                Matcher name = Pattern.compile("jmarlin_(\\w+)_abi\\[\\]")
                        .matcher(Files.readString(folder.resolve(folder.getFileName() + ".cu")));
                if (name.find()) {
                    assertEquals(folder.getFileName().toString(), name.group(1));
                    published.add(name.group(1));
                }
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
        assertTrue(Files.readString(Path.of("src", "main", "cuda", "hopper", "hopper.cu"))
                .contains("\n// registers: " + ImageFamily.HOPPER_REGISTERS + "\n"));
        assertEquals(8, ImageFamily.HOPPER.kernelsToCheck("hopper_m8_n128_p1_s1").size());
        assertEquals(List.of("striped_f16_sym_g64_m8_n64"), ImageFamily.STRIPED.kernelsToCheck("striped_m8_n64"));
        assertEquals(List.of(), ImageFamily.GATHER.kernelsToCheck("gather"));
    }

    @Test
    void aKernelBelongsToItsFirstWord() {
        assertEquals(ImageFamily.STRIPED, ImageFamily.of("striped_f16_sym_g64_m8_n64"));
        assertEquals(ImageFamily.DEQUANTIZE, ImageFamily.of("dequantize_finish_f16"));
        assertEquals("striped_m8_n64", ImageFamily.STRIPED.module("striped_f16_sym_g64_m8_n64"));
        assertEquals("hopper_m128_n256_p2_s2", ImageFamily.HOPPER.module("hopper_bf16_zp_g32_m128_n256_p2_s2"));
        assertEquals("dequantize", ImageFamily.DEQUANTIZE.module("dequantize_finish_f16"));
        assertEquals("gather", ImageFamily.GATHER.module("gather_16bit"));
        assertEquals("jmarlin_gather_abi", ImageFamily.of("gather_16bit").abiName());
        for (String stranger : List.of("empty", "striped", "stripedf16", "")) {
            assertTrue(assertThrows(IllegalArgumentException.class, () -> ImageFamily.of(stranger)).getMessage()
                    .contains("kernel " + stranger));
        }
    }
}
