package io.github.jmarlin.checkpoint.container.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a GGUF file holds, and what is wrong with it, in one line each. */
final class GgufFileTest {
    @TempDir
    private Path folder;

    private static GgufWriter good() {
        return new GgufWriter().string("general.architecture", "llama").u32("a.count", 7).f32("a.real", 1e-5f).bool("a.flag", true)
                .strings("a.texts", List.of("x", "", "\u20ac"))
                .tensor("matrix", new float[] {1, 2, 3, 4, 5, 6}, 3, 2).tensor("blocks", 2, new byte[36], 64, 1);
    }

    private GgufFile open(GgufWriter writer) throws IOException {
        return GgufFile.open(writer.write(folder.resolve("model.gguf")));
    }

    private String refused(GgufWriter writer) {
        return refused(writer.bytes());
    }

    private String refused(byte[] file) {
        JMarlinException e = assertThrows(JMarlinException.class, () -> GgufFile.open(Files.write(folder.resolve("wrong.gguf"), file)));
        assertTrue(e instanceof MalformedCheckpointException || e instanceof UnsupportedCheckpointException, e.toString());
        assertEquals(1, e.getMessage().lines().count());
        return e.getMessage();
    }

    private void refusedWith(String text, GgufWriter writer) {
        String message = refused(writer);
        assertTrue(message.contains(text), message);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void valuesAndTensorsAreTheFiles(int version) throws IOException {
        GgufFile file = open(good().version(version).alignment(64));
        assertEquals("llama", file.values().get("general.architecture"));
        assertEquals(7L, file.values().get("a.count"));
        assertEquals(1e-5, file.values().get("a.real"));
        assertEquals(true, file.values().get("a.flag"));
        List<String> texts = new ArrayList<>();
        ((GgufArray) file.values().get("a.texts")).strings(texts::add);
        assertEquals(List.of("x", "", "\u20ac"), texts);
        Tensor matrix = file.tensors().get("matrix");
        assertEquals(List.of(2L, 3L), matrix.shape());
        assertEquals(TensorType.F32, matrix.type());
        assertEquals(0, matrix.fileOffset() % 64);
        assertEquals(4, matrix.slice(12, 4).getFloat(0));
        Tensor blocks = file.tensors().get("blocks");
        assertEquals(List.of(1L, 36L), blocks.shape());
        assertEquals(TensorType.U8, blocks.type());
        assertEquals(Map.of("matrix", GgufType.F32, "blocks", GgufType.Q4_0), file.types());
    }

    @Test
    void whatIsNoGgufIsNamed() {
        assertTrue(refused("<!doctype html><html></html>".getBytes()).contains("found a web page"));
        assertTrue(refused(new byte[0]).contains("found 0 bytes that do not start with GGUF"));
        refusedWith("version at byte 4: found 1; accepted: 2 or 3", good().version(1));
        refusedWith("found 3, big-endian; accepted", good().version(0x03000000));
    }

    /** Cut anywhere, a file is refused, and in words. */
    @Test
    void everyPrefixIsRefused() {
        byte[] whole = good().bytes();
        int end = whole.length - (32 - 36 % 32);
        for (int length = 0; length < end; length++) {
            String message = refused(Arrays.copyOf(whole, length));
            assertTrue(message.contains("found "), message);
        }
    }

    @Test
    void countsBeyondTheFileAreRefused() {
        byte[] tensors = good().bytes();
        Arrays.fill(tensors, 8, 16, (byte) 0xff);
        assertTrue(refused(tensors).contains("number of tensors at byte 8: found 18446744073709551615; the rest of the file"));
        byte[] pairs = good().bytes();
        pairs[16 + 5] = 1;
        assertTrue(refused(pairs).contains("number of metadata pairs at byte 16: found 1099511627781; the rest of the file"));
        refusedWith("number of elements of key big: found 4611686018427387904; the rest of the file",
                good().pair("big", 9, new GgufWriter.Bytes().u32(11).u64(1L << 62).array()));
        refusedWith("key long: found a string of 9223372036854775807 bytes",
                good().pair("long", 8, new GgufWriter.Bytes().u64(Long.MAX_VALUE).array()));
        refusedWith("key texts, element 0: found a string of 18446744073709551615 bytes",
                good().pair("texts", 9, new GgufWriter.Bytes().u32(8).u64(1).u64(-1).array()));
    }

    @Test
    void arraysInsideEachOtherAreSkippedToADepth() throws IOException {
        GgufWriter.Bytes inner = new GgufWriter.Bytes().u32(0).u64(3).raw(new byte[3]);
        GgufFile file = open(good().pair("nested", 9, new GgufWriter.Bytes().u32(9).u64(1).raw(inner.array()).array()).u32("behind", 5));
        assertEquals(5L, file.values().get("behind"));
        GgufWriter.Bytes deep = new GgufWriter.Bytes();
        for (int i = 0; i < 100_000; i++) {
            deep.u32(9).u64(1);
        }
        refusedWith("key deep: found arrays inside each other; at most 4 deep", good().pair("deep", 9, deep.array()));
    }

    @Test
    void duplicatesAreRefused() {
        byte[] keys = good().u32("a.counu", 1).bytes();
        int at = new String(keys, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("a.counu");
        keys[at + 6] = 't';
        assertTrue(refused(keys).contains("key a.count: found the same key twice"));
        byte[] names = good().tensor("matriy", new float[1], 1).bytes();
        at = new String(names, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("matriy");
        names[at + 5] = 'x';
        assertTrue(refused(names).contains("tensor matrix: found the same name twice"));
    }

    @Test
    void valuesOfNoTypeAreRefused() {
        refusedWith("key odd: found type 13; must be in 0..12", good().pair("odd", 13, new byte[8]));
        refusedWith("key odd: found type 4294967295", good().pair("odd", -1, new byte[8]));
        refusedWith("key odd: found 2; true is 1", good().pair("odd", 7, new byte[] {2}));
        refusedWith("key odd at byte", good().pair("odd", 8, new GgufWriter.Bytes().u64(1).u8(0xff).array()));
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 3, 48, 1L << 31})
    void alignmentsThatAreNoPowerOfTwoAreRefused(long alignment) {
        refusedWith("key general.alignment: found " + alignment + "; must be a power of two", good().u32("general.alignment", alignment));
    }

    @Test
    void shapesThatFitNothingAreRefused() {
        refusedWith("tensor odd: found 5 dimensions; at most 4", good().tensor("odd", 0, new byte[4], 1, 1, 1, 1, 1));
        refusedWith("tensor odd: found extents [0]; each must be in 1..", good().tensor("odd", 0, new byte[0], 0));
        refusedWith("tensor odd: found extents [18446744073709551615]", good().tensor("odd", 0, new byte[4], -1));
        refusedWith("must be fewer than 2^63 bytes", good().tensor("odd", 0, new byte[4], 1L << 32, 1L << 32));
        refusedWith("tensor odd: found extents [33] of Q4_0; rows must be whole blocks of 32", good().tensor("odd", 2, new byte[36], 33));
        refusedWith("tensor odd: found type 99; accepted: one of [F32, F16, Q4_0", good().tensor("odd", 99, new byte[4], 1));
        refusedWith("tensor odd: found type 4; accepted", good().tensor("odd", 4, new byte[4], 1));
    }

    @Test
    void placesThatFitNothingAreRefused() {
        refusedWith("tensor big: found 4000 bytes at offset 96; must end inside the file", good().tensor("big", 0, new byte[4], 1000));
        byte[] odd = good().bytes();
        int offset = new String(odd, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("blocks") + 6 + 4 + 16 + 4;
        odd[offset] = 1;
        assertTrue(refused(odd).contains("tensor blocks: found offset 1; must be a multiple of the alignment 32"));
        odd[offset] = 0;
        assertTrue(refused(odd).contains("found offset 0; tensor"), refused(odd));
        odd[offset + 7] = (byte) 0x80;
        assertTrue(refused(odd).contains("found offset 9223372036854775808"));
        odd[offset + 7] = 0x40;
        assertTrue(refused(odd).contains("found 36 bytes at offset 4611686018427387904; must end inside the file"));
    }

    private void parts(int count, int... written) throws IOException {
        for (int i : written) {
            GgufWriter part = new GgufWriter().u16("split.no", i).u16("split.count", count).pair("split.tensors.count", 5,
                    new GgufWriter.Bytes().u32(3).array()).tensor("t" + i, new float[] {i}, 1);
            if (i == 0) {
                part.string("general.architecture", "other");
            }
            part.write(folder.resolve(String.format("m-%05d-of-%05d.gguf", i + 1, count)));
        }
    }

    @Test
    void partsAreOneModelWhicheverIsNamed() throws IOException {
        parts(3, 0, 1, 2);
        for (int named = 1; named <= 3; named++) {
            GgufModel model = GgufModel.open(folder.resolve("m-0000" + named + "-of-00003.gguf"));
            assertEquals(List.of("t0", "t1", "t2"), List.copyOf(model.store().tensors().keySet()));
            assertEquals(2, model.store().require("t2").slice(0, 4).getFloat(0));
        }
    }

    @Test
    void missingAndStrangePartsAreNamed() throws IOException {
        parts(3, 0, 2);
        Path first = folder.resolve("m-00001-of-00003.gguf");
        MalformedCheckpointException missing = assertThrows(MalformedCheckpointException.class, () -> GgufModel.open(first));
        assertTrue(missing.getMessage().contains("m-00002-of-00003.gguf must lie beside it"), missing.getMessage());
        Files.copy(first, folder.resolve("m-00002-of-00003.gguf"));
        MalformedCheckpointException strange = assertThrows(MalformedCheckpointException.class, () -> GgufModel.open(first));
        assertTrue(strange.getMessage().contains("key split.no: found 0; must be 1"), strange.getMessage());
        Files.move(first, folder.resolve("renamed.gguf"));
        MalformedCheckpointException renamed = assertThrows(MalformedCheckpointException.class,
                () -> GgufModel.open(folder.resolve("renamed.gguf")));
        assertTrue(renamed.getMessage().contains("NAME-00001-of-000NN.gguf"), renamed.getMessage());
    }

    @Test
    void aFolderOfGgufFilesSaysWhatToDo() throws IOException {
        good().write(folder.resolve("model.gguf"));
        assertFalse(GgufModel.isMeant(folder));
        UnsupportedCheckpointException e = assertThrows(UnsupportedCheckpointException.class,
                () -> io.github.jmarlin.checkpoint.container.TensorStore.open(folder));
        assertTrue(e.getMessage().contains("the name of a .gguf file itself"), e.getMessage());
    }
}
