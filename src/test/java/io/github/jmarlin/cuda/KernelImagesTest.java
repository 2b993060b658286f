package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelImagesTest {

    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"8, 0, striped.sm_80.cubin", "8, 6, striped.sm_80.cubin", "8, 9, striped.sm_80.cubin",
            "9, 0, striped.sm_90a.cubin",
        "10, 0, striped.compute_80.ptx", "12, 0, striped.compute_80.ptx"})
    void eachArchitectureHasItsImage(int major, int minor, String file) {
        assertEquals(file, KernelImages.fileName("striped", device(major, minor)));
    }

    @Test
    void readsFromTheFolderAndEndsPtxWithAZero() throws IOException {
        Files.write(folder.resolve("striped.sm_80.cubin"), new byte[] {1, 2});
        Files.write(folder.resolve("striped.compute_80.ptx"), new byte[] {3, 4});
        assertArrayEquals(new byte[] {1, 2}, withFolder(folder, () -> KernelImages.load("striped", device(8, 6))).bytes());
        assertArrayEquals(new byte[] {3, 4, 0}, withFolder(folder, () -> KernelImages.load("striped", device(12, 0))).bytes());
    }

    @Test
    void aMissingImageIsNamed() {
        String message = assertThrows(KernelImageException.class,
                () -> withFolder(folder, () -> KernelImages.load("striped", device(9, 0)))).getMessage();
        assertTrue(message.contains(folder.resolve("striped.sm_90a.cubin").toString()) && message.contains("9.0"), message);
    }

    static <T> T withFolder(Path path, java.util.function.Supplier<T> action) {
        String before = System.setProperty(KernelImages.FOLDER_PROPERTY, path.toString());
        try {
            return action.get();
        } finally {
            if (before == null) {
                System.clearProperty(KernelImages.FOLDER_PROPERTY);
            } else {
                System.setProperty(KernelImages.FOLDER_PROPERTY, before);
            }
        }
    }

    private static DeviceFacts device(int major, int minor) {
        return new DeviceFacts("device", major, minor, 4, 100_000, 0, 0, 0, 0);
    }
}
