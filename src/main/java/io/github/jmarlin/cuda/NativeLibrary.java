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
 * that another JVM is still writing, or that was cut off by a full disk. So the file is put there first, whole, in one step.
 */
final class NativeLibrary {

    private NativeLibrary() {
    }

    /**
     * Makes the file in {@code folder} the one of the class path. Where that cannot be done, JCuda is left to try and to report.
     */
    static void unpackTo(Path folder) {
        String name = LibUtils.createLibraryFileName(LibUtils.createPlatformLibraryName("JCudaDriver-" + JCudaVersion.get()));
        try (InputStream in = LibUtils.class.getResourceAsStream("/lib/" + name)) {
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
