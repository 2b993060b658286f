package io.github.jmarlin.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import jcuda.JCudaVersion;
import jcuda.LibUtils;

/**
 * Sees to it that JCuda loads its own native library.
 *
 * <p>NOTES: JCuda unpacks it into java.io.tmpdir under a fixed name, and loads whatever file of that name it finds there: one
 * that another JVM is still writing, or that was cut off by a full disk. So the file is put there first, whole, in one step. On the
 * module path JCuda would not find it at all: it asks its own module, and the natives are another one.
 */
final class NativeLibrary {

    private NativeLibrary() {
    }

    /** From the jar of natives, wherever it is: the class path, or as a module beside JCuda's. */
    private static InputStream resource(String name) {
        InputStream in = LibUtils.class.getResourceAsStream("/" + name);
        if (in == null && LibUtils.class.getClassLoader() != null) {
            in = LibUtils.class.getClassLoader().getResourceAsStream(name);
        }
        return in;
    }

    /** What to do about a native library that was found and cannot be loaded; empty if nothing is known. */
    static String advice(String message) {
        String folder = System.getProperty("java.io.tmpdir");
        if (message.contains("already loaded in another classloader")) {
            return "; a JVM loads a native library for one class loader only: let one that all others share load JCuda and JMarlin";
        }
        if (message.contains("failed to map segment") || message.contains("Operation not permitted")
                || message.contains("Permission denied")) {
            return "; libraries are unpacked to " + folder + ", where they may not be executed (mounted noexec?): name another folder"
                    + " with -Djava.io.tmpdir=FOLDER";
        }
        if (message.contains("No space left") || message.contains("Read-only file system")) {
            return "; libraries are unpacked to " + folder + ": name another folder with -Djava.io.tmpdir=FOLDER";
        }
        return "";
    }

    /**
     * Makes the file in {@code folder} the one of the class path. Where that cannot be done, JCuda is left to try and to report.
     */
    static void unpackTo(Path folder) {
        String name = LibUtils.createLibraryFileName(LibUtils.createPlatformLibraryName("JCudaDriver-" + JCudaVersion.get()));
        try (InputStream in = resource("lib/" + name)) {
            if (in == null) {
                return;
            }
            byte[] library = in.readAllBytes();
            Path file = folder.resolve(name);
            if (!Files.exists(file) || !Arrays.equals(library, Files.readAllBytes(file))) {
                Path whole = Files.createTempFile(folder, name, ".tmp");
                try {
                    Files.write(whole, library);
                    Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                } finally {
                    Files.deleteIfExists(whole);
                }
            }
        } catch (IOException e) {
            System.getLogger(NativeLibrary.class.getName()).log(System.Logger.Level.DEBUG, "JCuda unpacks its natives itself", e);
        }
    }
}
