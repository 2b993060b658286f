package io.github.jmarlin.checkpoint.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.TestModel;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The container: what it accepts, and each rule that it must refuse to see broken. */
final class SafetensorsFileTest {
    @TempDir
    Path folder;

    private SafetensorsFile open(String header, int dataBytes) throws IOException {
        byte[] data = new byte[dataBytes];
        for (int i = 0; i < dataBytes; i++) {
            data[i] = (byte) i;
        }
        return SafetensorsFile.open(TestModel.raw(folder.resolve("file.safetensors"), header, data));
    }

    private static String entry(String type, String shape, long begin, long end) {
        return "{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" + begin + "," + end + "]}";
    }

    @ParameterizedTest
    @EnumSource(TensorType.class)
    void everyTypeIsRecognised(TensorType type) throws IOException {
        int bytes = 4 * type.bits() / 8;
        SafetensorsFile file = open("{\"t\":" + entry(type.name(), "[4]", 0, bytes) + "}", bytes);
        assertEquals(type, file.tensor("t").type());
        assertEquals(bytes, file.tensor("t").bytes());
        assertEquals(List.of(4L), file.tensor("t").shape());
    }

    @Test
    void tensorsNeedNoAlignment() throws IOException {
        SafetensorsFile file = open("{\"a\":" + entry("U8", "[3]", 0, 3) + ",\"b\":" + entry("F32", "[1]", 3, 7) + "}", 7);
        assertEquals(0x06050403, file.tensor("b").slice(0, 4).getInt(0));
    }

    @Test
    void spacesScalarsEmptyTensorsMetadataAndUnknownFields() throws IOException {
        SafetensorsFile file = open("  \n{\"__metadata__\":{\"k\":\"v\"},\"e\":" + entry("F32", "[0,5]", 2, 2)
                + ",\"s\":{\"dtype\":\"I16\",\"shape\":[],\"data_offsets\":[0,2],\"extra\":{\"deep\":[1]}}}   ", 2);
        assertEquals(Map.of("k", "v"), file.metadata());
        assertEquals(0, file.tensor("e").bytes());
        assertEquals(0x0100, file.tensor("s").slice(0, 2).getShort(0));
        assertEquals(0, SafetensorsFile.open(TestModel.raw(folder.resolve("none"), "{}", new byte[0])).tensors().size());
    }

    @Test
    void headerOrderNeedNotBeDataOrder() throws IOException {
        SafetensorsFile file = open("{\"b\":" + entry("U8", "[1]", 1, 2) + ",\"a\":" + entry("U8", "[1]", 0, 1) + "}", 2);
        assertEquals(1, file.tensor("b").slice(0, 1).get(0));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '\'', value = {
        "not an object | [] | 0 | must be a JSON object",
        "no JSON | xyz | 0 | must be JSON without duplicate keys",
        "cut off | {\"t\":{ | 0 | must be JSON",
        "something behind | {} {} | 0 | nothing but spaces",
        "duplicate tensor | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                + "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}} | 2 | Duplicate field 't'",
        "duplicate key | {\"t\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}} "
                + "| 1 | Duplicate field 'dtype'",
        "unknown dtype | {\"t\":{\"dtype\":\"U7\",\"shape\":[1],\"data_offsets\":[0,1]}} | 1 | tensor t, key dtype: found U7",
        "no dtype | {\"t\":{\"shape\":[1],\"data_offsets\":[0,1]}} | 1 | an entry needs all three",
        "entry no object | {\"t\":7} | 0 | must be an object",
        "shape no list | {\"t\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}} | 1 | must be an array",
        "fraction | {\"t\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}} | 1 | must be whole numbers",
        "negative | {\"t\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}} | 1 | must be in 0..2^63 - 1",
        "too large a number | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}} | 1 | 0..2^63",
        "overflow | {\"t\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,1]}} | 1 | below 2^63",
        "half a byte | {\"t\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}} | 1 | whole number of bytes",
        "wrong size | {\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}} | 4 | shape x dtype is 8 bytes",
        "backwards | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}} | 1 | begin <= end",
        "three offsets | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}} | 1 | at most 2",
        "one offset | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}} | 1 | [begin, end]",
        "does not start at 0 | {\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}} | 2 | no gap",
        "overlap | {\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}} | 3 | no overlap",
        "gap | {\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}} | 3 | no gap",
        "file too short | {\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}} | 1 | the last tensor ends at 2",
        "file too long | {\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}} | 3 | the last tensor ends at 2",
        "metadata no strings | {\"__metadata__\":{\"k\":1}} | 0 | __metadata__.k: found 1; must be a string",
    })
    void brokenRules(String what, String header, int dataBytes, String message) {
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> open(header, dataBytes), what);
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().startsWith(folder.resolve("file.safetensors").toString()), e.getMessage());
    }

    @Test
    void tooManyDimensions() {
        String shape = "1,".repeat(64) + "1";
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class,
                () -> open("{\"t\":" + entry("U8", "[" + shape + "]", 0, 1) + "}", 1));
        assertTrue(e.getMessage().contains("at most 64"), e.getMessage());
    }

    @ParameterizedTest
    @CsvSource({"0, starts with an 8-byte", "7, starts with an 8-byte"})
    void filesWithoutRoomForALength(int bytes, String message) throws IOException {
        Path file = Files.write(folder.resolve("short"), new byte[bytes]);
        assertTrue(assertThrows(MalformedCheckpointException.class,
                () -> SafetensorsFile.open(file)).getMessage().contains(message));
    }

    @ParameterizedTest
    @CsvSource({"100000001, at most 100000000", "-1, 18446744073709551615", "1000, must end inside the file of 10 bytes"})
    void headerLengths(long length, String message) throws IOException {
        ByteBuffer bytes = TestModel.buffer(10).putLong(length);
        Path file = Files.write(folder.resolve("length"), bytes.array());
        assertTrue(assertThrows(MalformedCheckpointException.class,
                () -> SafetensorsFile.open(file)).getMessage().contains(message));
    }

    @Test
    void notUtf8() throws IOException {
        byte[] header = {'{', '"', (byte) 0xff, '"', ':', '1', '}'};
        ByteBuffer bytes = TestModel.buffer(8 + header.length).putLong(header.length).put(header);
        Path file = Files.write(folder.resolve("latin"), bytes.array());
        MalformedCheckpointException e = assertThrows(MalformedCheckpointException.class, () -> SafetensorsFile.open(file));
        assertTrue(e.getMessage().contains("must be UTF-8"), e.getMessage());
    }

    @Test
    void filesBeyondTwoGigabytes() throws IOException {
        long size = 5L << 30;
        Path path = folder.resolve("large.safetensors");
        byte[] header = SafetensorsHeader.render(
                List.of(new TensorInfo("t", TensorType.U8, List.of(size), 0, size)), Map.of());
        long[] probes = {0, (1L << 30) - 4, (2L << 30) - 5, (4L << 30) + 1, size - 8};
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.write(header);
            file.setLength(header.length + size);
            for (long probe : probes) {
                file.seek(header.length + probe);
                file.writeLong(Long.reverseBytes(probe ^ 0x1234567890L));
            }
        }
        Tensor tensor = SafetensorsFile.open(path).tensor("t");
        for (long probe : probes) {
            assertEquals(probe ^ 0x1234567890L, tensor.slice(probe, 8).getLong(0));
        }
        assertEquals(1 << 30, tensor.slice((3L << 30) + 17, 1 << 30).capacity());
        assertThrows(IllegalArgumentException.class, () -> tensor.slice(size - 7, 8));
        assertThrows(IllegalArgumentException.class, () -> tensor.slice(-1, 8));
    }

    @Test
    void missingTensorIsNamed() throws IOException {
        SafetensorsFile file = open("{}", 0);
        assertTrue(assertThrows(MalformedCheckpointException.class, () -> file.tensor("x.weight")).getMessage()
                .contains("tensor x.weight"));
    }
}
