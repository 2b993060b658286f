package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
class NativeLibraryTest {

    @TempDir
    private Path folder;

    @Test
    void aCutOffFileIsReplacedAndAWholeOneStays() throws IOException {
        NativeLibrary.unpackTo(folder);
        Path file = only();
        long size = Files.size(file);
        Files.write(file, new byte[] {0x7f, 'E', 'L', 'F'});
        NativeLibrary.unpackTo(folder);
        assertEquals(file, only());
        assertEquals(size, Files.size(file));
        FileTime old = FileTime.fromMillis(0);
        Files.setLastModifiedTime(file, old);
        NativeLibrary.unpackTo(folder);
        assertEquals(old, Files.getLastModifiedTime(only()));
    }

    @Test
    void aFolderThatIsNotThereIsNoError() {
        NativeLibrary.unpackTo(folder.resolve("missing"));
        assertFalse(Files.exists(folder.resolve("missing")));
    }

    private Path only() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> all = files.toList();
            assertEquals(1, all.size(), all.toString());
            return all.get(0);
        }
    }
}
