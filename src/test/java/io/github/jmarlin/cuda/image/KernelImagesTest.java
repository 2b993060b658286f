package io.github.jmarlin.cuda.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.KernelImageException;
import io.github.jmarlin.plan.DeviceFacts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

public class KernelImagesTest {

    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"8, 0, sm_80.cubin", "8, 6, sm_86.cubin sm_80.cubin", "8, 7, sm_86.cubin sm_80.cubin",
            "8, 9, sm_89.cubin sm_86.cubin sm_80.cubin", "9, 0, sm_90a.cubin compute_90a.ptx", "10, 0, sm_100.cubin", "10, 3, sm_100.cubin",
            "11, 0, ''", "12, 0, sm_120.cubin", "12, 1, sm_120.cubin"})
    void machineCodeOfTheSameMajorVersionThenPtx(int major, int minor, String targets) throws IOException {
        for (String target : new String[] {"sm_80.cubin", "sm_86.cubin", "sm_89.cubin", "sm_90a.cubin", "sm_100.cubin", "sm_120.cubin",
                "compute_90a.ptx", "compute_80.ptx"}) {
            Files.writeString(folder.resolve("striped." + target), target);
        }
        List<String> expected = Stream.of((targets + " compute_80.ptx").trim().split(" ")).toList();
        assertEquals(expected.stream().map(target -> "striped." + target).toList(),
                withFolder(folder, () -> KernelImages.candidates("striped", device(major, minor))));
    }

    @Test
    void ptxEndsWithAZero() throws IOException {
        Files.write(folder.resolve("striped.sm_80.cubin"), new byte[] {1, 2});
        Files.write(folder.resolve("striped.compute_80.ptx"), new byte[] {3, 4});
        assertArrayEquals(new byte[] {1, 2}, withFolder(folder, () -> KernelImages.read("striped.sm_80.cubin")).bytes());
        assertArrayEquals(new byte[] {3, 4, 0}, withFolder(folder, () -> KernelImages.read("striped.compute_80.ptx")).bytes());
    }

    @Test
    void whatIsMissingIsNamedWithItsPlace() {
        assertEquals(List.of(), withFolder(folder, () -> KernelImages.candidates("striped", device(9, 0))));
        String message = withFolder(folder, () -> KernelImages.missing("striped", device(9, 0)));
        assertTrue(message.contains("of striped for") && message.contains(folder.toString()) && message.contains("9.0"), message);
        assertTrue(assertThrows(KernelImageException.class, () -> withFolder(folder, () -> KernelImages.read("striped.sm_80.cubin")))
                .getMessage().contains(folder.resolve("striped.sm_80.cubin").toString()));
    }

    public static <T> T withFolder(Path path, java.util.function.Supplier<T> action) {
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
