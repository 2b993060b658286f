package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.Fixtures;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A JVM's surroundings: its locale, and files that are not as they should be. Natives: CudaDriverTest. */
final class RepositorySurroundingsTest {
    private final Locale before = Locale.getDefault();

    @TempDir
    Path folder;

    @AfterEach
    void restoreLocale() {
        Locale.setDefault(before);
    }

    /** Native digits in file names, which nobody recognised again (jffi#170). */
    @ParameterizedTest
    @CsvSource({"ar-EG, sharded_gptq", "fa-IR, awq_gemm_g64", "hi-IN-u-nu-deva, ct_pack_asym_g32", "th-TH-u-nu-thai, marlin_channel",
        "tr-TR, gptq_v1_desc_act_g32"})
    void locales(String locale, String fixture) throws IOException {
        Locale.setDefault(Locale.forLanguageTag(locale));
        Path target = folder.resolve("packed");
        Repository.assertPacksTo(fixture, Fixtures.folder(fixture), target);
        List<String> names = Repository.names(target);
        assertTrue(names.stream().allMatch(name -> name.chars().allMatch(c -> c < 128)), names.toString());
        Cli again = Cli.run("pack", Fixtures.folder(fixture).toString(), target.toString());
        assertEquals(0, again.status(), again.toString());
        assertTrue(again.out().contains(" kept from before"), again.out());
        assertEquals(names, Repository.names(target));
        Locale.setDefault(Locale.ENGLISH);
        assertEquals(fixture.startsWith("sharded") ? 2 : 1, PackedModel.open(target).layers().size());
    }

    @Test
    void aFileWhereTheFolderShouldBe() throws IOException {
        Path file = Files.writeString(folder.resolve("out"), "x");
        Repository.assertRefused(null, 1, new String[] {"pack", Fixtures.folder("gptq_v1_sym_g128").toString(), file.toString()},
                "out: cannot make this folder: a file of that name is in the way");
        assertEquals("x", Files.readString(file));
        Path below = file.resolve("below");
        Repository.assertRefused(null, 1, new String[] {"pack", Fixtures.folder("gptq_v1_sym_g128").toString(), below.toString()},
                "cannot make this folder: ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"inspect", "verify"})
    void aFolderInPlaceOfAFile(String command) throws IOException {
        Path model = Fixtures.copy("gptq_v1_sym_g128", folder.resolve("model"));
        Files.delete(model.resolve("model.safetensors"));
        Files.createDirectories(model.resolve("model.safetensors"));
        Repository.assertRefused(null, 1, new String[] {command, model.toString()},
                "model.safetensors: cannot map this file: it is a folder");
    }

    @Test
    void aLinkThatLeadsNowhere() throws IOException {
        Path model = Fixtures.copy("awq_gemm_g64", folder.resolve("model"));
        Files.delete(model.resolve("config.json"));
        Files.createDirectories(model.resolve("config.json"));
        Repository.assertRefused(null, 1, new String[] {"inspect", model.toString()}, "config.json: cannot read this file: ");
        Files.delete(model.resolve("config.json"));
        Files.delete(model.resolve("model.safetensors"));
        Files.createSymbolicLink(model.resolve("model.safetensors"), folder.resolve("blobs").resolve("gone"));
        Repository.assertRefused(null, 1, new String[] {"inspect", model.toString()},
                "model.safetensors: cannot map this file: there is no such file or folder");
    }

    @Test
    void theTargetIsAFolderWhereAFileGoes() throws IOException {
        Path target = folder.resolve("packed");
        Files.createDirectories(target.resolve("model-00001-of-00001.safetensors").resolve("x"));
        Repository.assertRefused(null, 1, new String[] {"pack", Fixtures.folder("gptq_v1_sym_g128").toString(), target.toString()},
                "model-00001-of-00001.safetensors: cannot map this file: it is a folder");
    }
}
