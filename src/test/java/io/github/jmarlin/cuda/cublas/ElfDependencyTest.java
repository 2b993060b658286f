package io.github.jmarlin.cuda.cublas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;

class ElfDependencyTest {
    /** Short names by hand; the last two are the constants in the version tables of every Linux program (readelf -V). */
    @Test
    void hashIsTheAbis() {
        assertEquals(0, ElfDependency.hash(""));
        assertEquals('a', ElfDependency.hash("a"));
        assertEquals(('a' << 4) + 'b', ElfDependency.hash("ab"));
        assertEquals(0x09691a75, ElfDependency.hash("GLIBC_2.2.5"));
        assertEquals(0x06969197, ElfDependency.hash("GLIBC_2.17"));
    }

    @Test
    void rejectsWhatItCannotRename() {
        assertMessage("not a 64-bit little-endian ELF file: it starts with 7f 45 4c 46 01 01, expected 7f 45 4c 46 02 01",
                () -> ElfDependency.rename(new byte[] {0x7f, 'E', 'L', 'F', 1, 1, 0, 0}, "a", "b"));
        assertMessage("not a 64-bit little-endian ELF file: it starts with , expected 7f 45 4c 46 02 01",
                () -> ElfDependency.rename(new byte[0], "a", "b"));
        assertMessage("\"liba.so\" and \"lib.so\" differ in length: 7 and 6",
                () -> ElfDependency.rename(new byte[0], "liba.so", "lib.so"));
    }

    @Test
    void rejectsALibraryWithoutThatDependency() throws Exception {
        byte[] library;
        try (var in = ElfDependencyTest.class.getResourceAsStream("/lib/libJCudaDriver-12.6.0-linux-x86_64.so")) {
            assumeTrue(in != null, "no natives on the class path");
            library = in.readAllBytes();
        }
        assertMessage("the file does not name \"libcublas.so.12\"",
                () -> ElfDependency.rename(library, "libcublas.so.12", "libcublas.so.13"));
    }

    private static void assertMessage(String message, Runnable call) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, call::run).getMessage());
    }
}
