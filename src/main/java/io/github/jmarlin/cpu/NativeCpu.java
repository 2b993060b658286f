package io.github.jmarlin.cpu;

import java.io.IOException;
import java.io.InputStream;
import java.nio.Buffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * The native library: kernels for the processor's vector instructions, from {@code src/main/c}. Whatever keeps it from loading is
 * stored as a reason, and Java multiplies instead.
 */
final class NativeCpu {
    private static final String UNAVAILABLE = load(NativeCpu.class, System.getProperty("os.name"), System.getProperty("os.arch"));

    private NativeCpu() {
    }

    /** Why there is no native library; empty if there is. */
    static String unavailableReason() {
        return UNAVAILABLE;
    }

    /** Loads the library for a platform from beside {@code anchor}. Returns the reason if that fails, else an empty text. */
    static String load(Class<?> anchor, String system, String machine) {
        String name = resource(system, machine);
        try (InputStream library = anchor.getResourceAsStream(name)) {
            if (library == null) {
                return "this build has no native kernels for " + system + " " + machine;
            }
            // NOTES: a copy, because a library in a jar cannot be loaded; its name is new, because one name is loaded only once, and
            // the copy can go at once, because the loader has it open.
            Path copy = Files.createTempFile("jmarlin", ".so");
            try {
                Files.write(copy, library.readAllBytes());
                System.load(copy.toAbsolutePath().toString());
            } finally {
                Files.deleteIfExists(copy);
            }
            return "";
        } catch (IOException | RuntimeException | LinkageError e) {     // newer Javas refuse native access by an unchecked exception
            return "the native kernels cannot be loaded: " + e.getClass().getSimpleName() + ": " + e.getMessage();
        }
    }

    /** Where the build puts the library of a platform, for instance {@code native/linux-x86_64/libjmarlin.so}. */
    static String resource(String system, String machine) {
        String os = system.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
        return "native/" + os + "-" + (machine.equals("amd64") ? "x86_64" : machine) + "/libjmarlin.so";
    }

    /** Whether this machine has an instruction set: {@code enum state} in amx.h, 0 if it can be used. */
    static native int state(int set);

    /** Where a direct buffer begins, whatever its position; 0 for a buffer on the heap. */
    static native long address(Buffer buffer);

    /** Reads one unit of rows of a {@link NativeCall}. */
    static native void read(int set, long call, long unit);

    /** Multiplies strips {@code first} to {@code end - 1} with all rows of a {@link NativeCall}, whose units are read. */
    static native void multiply(int set, long call, long first, long end);

    /** Multiplies columns {@code first} to {@code end - 1} of a {@link DenseLinear}, whose weights begin at {@code weights}. */
    static native void multiplyDense(int set, long call, long weights, long first, long end);
}
