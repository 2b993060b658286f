package io.github.jmarlin.checkpoint.container;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The writer: whole files or none. */
final class SafetensorsWriterTest {
    @TempDir
    Path folder;

    private Path target() {
        return folder.resolve("out.safetensors");
    }

    private static SafetensorsWriter.Layout layout() {
        return new SafetensorsWriter.Layout().add("a", TensorType.U8, 4).add("b \"quoted\" \u00e9", TensorType.F16, 1, 3);
    }

    @Test
    void writesWhatTheReaderReads() throws IOException {
        try (SafetensorsWriter writer = SafetensorsWriter.create(target(), layout(), Map.of("key", "value"))) {
            writer.write("b \"quoted\" \u00e9", 2, ByteBuffer.wrap(new byte[] {7, 8, 9, 10}));
            writer.write("a", 0, ByteBuffer.wrap(new byte[] {1, 2, 3, 4}));
            writer.write("b \"quoted\" \u00e9", 0, ByteBuffer.wrap(new byte[] {5, 6}));
            assertFalse(Files.exists(target()), "visible before it is whole");
            writer.commit();
        }
        SafetensorsFile file = SafetensorsFile.open(target());
        assertEquals(Map.of("key", "value"), file.metadata());
        byte[] bytes = new byte[6];
        file.tensor("b \"quoted\" \u00e9").slice(0, 6).get(bytes);
        assertArrayEquals(new byte[] {5, 6, 7, 8, 9, 10}, bytes);
        assertEquals(0, file.tensor("a").fileOffset() % 4096, "data is aligned");
        assertOnly("out.safetensors");
    }

    @Test
    void incompleteFilesNeverAppear() throws IOException {
        try (SafetensorsWriter writer = SafetensorsWriter.create(target(), layout(), Map.of())) {
            writer.write("a", 0, ByteBuffer.wrap(new byte[4]));
            assertTrue(assertThrows(IllegalStateException.class, writer::commit).getMessage().contains("4 of 10 bytes"));
        }
        assertOnly();
    }

    @Test
    void rangesAreChecked() throws IOException {
        try (SafetensorsWriter writer = SafetensorsWriter.create(target(), layout(), Map.of())) {
            assertThrows(IllegalArgumentException.class, () -> writer.write("a", 1, ByteBuffer.wrap(new byte[4])));
            assertThrows(IllegalArgumentException.class, () -> writer.write("c", 0, ByteBuffer.wrap(new byte[4])));
        }
    }

    @Test
    void tooLittleSpaceIsFoundBeforeWriting() throws IOException {
        SafetensorsWriter.Layout huge = new SafetensorsWriter.Layout().add("t", TensorType.U8, 1L << 55);
        FileSystemException e = assertThrows(FileSystemException.class, () -> SafetensorsWriter.create(target(), huge, Map.of()));
        assertTrue(e.getMessage().matches(".*too little disk space: 3602879701\\d+ bytes needed, \\d+ free"), e.getMessage());
        assertOnly();
    }

    private void assertOnly(String... names) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            assertArrayEquals(names, files.map(path -> path.getFileName().toString()).toArray());
        }
    }
}
