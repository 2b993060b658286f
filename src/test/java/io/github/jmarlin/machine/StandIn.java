package io.github.jmarlin.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.cuda.image.ImageFacts;
import io.github.jmarlin.cuda.image.ImageManifest;
import io.github.jmarlin.cuda.image.KernelImages;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/**
 * Steers the stand-in driver from a test: commands travel as names of globals of a null module (see control.cpp). Settings and
 * injections belong to the process; {@link #reset()} undoes them.
 */
public final class StandIn {
    private StandIn() {
    }

    /** Whether the driver that JCuda loaded is the stand-in. */
    public static boolean isLoaded() {
        try {
            return JCudaDriver.cuModuleGetGlobal(new CUdeviceptr(), new long[1], new CUmodule(), "standin.count cuInit") == 0;
        } catch (RuntimeException | LinkageError e) {
            return false;
        }
    }

    /** Skips the test where the driver is not the stand-in, or there is nothing that it could execute. */
    public static void assumeLoaded() {
        assumeTrue(isLoaded(), () -> MachineBuild.ofProject().unavailable().orElse("the driver is not the stand-in"));
        assumeTrue(ImageManifest.read().images().stream().anyMatch(ImageFacts::isPtx),
                "the stand-in driver executes PTX, and there is none: the kernels were not compiled, which takes nvcc");
    }

    /** The folder of the images that ship, which the build wrote among the classes. */
    public static Path images() {
        try {
            return Path.of(KernelImages.class.getResource("/io/github/jmarlin/cuda/images/images.properties").toURI()).getParent();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A folder with some of the images that ship: those whose names begin so, and what the build wrote about them. */
    public static Path copyImages(Path folder, String prefix) throws IOException {
        Files.copy(images().resolve("images.properties"), folder.resolve("images.properties"));
        try (DirectoryStream<Path> some = Files.newDirectoryStream(images(), prefix + "*.ptx")) {
            for (Path image : some) {
                Files.copy(image, folder.resolve(image.getFileName()));
            }
        }
        return folder;
    }

    /** No injections, all counts 0, settings as at the start, no context spoilt by a failed kernel. */
    public static void reset() {
        command("standin.reset");
    }

    /**
     * Makes calls of a driver function fail.
     *
     * @param function such as {@code cuMemAlloc}; without {@code _v2}
     * @param code the CUresult to return
     * @param after so many calls still succeed
     * @param times so many calls fail, after which all is well again
     */
    public static void inject(String function, int code, int after, int times) {
        command("standin.inject " + function + " " + code + " " + after + " " + times);
    }

    /**
     * How often a driver function was called since the last reset; {@code kernels}: how many kernels ran, {@code prefetched}: bytes
     * that the last one fetched ahead, {@code refused}: images that no device takes, {@code graphs}: graphs and executable graphs that are not destroyed.
     */
    public static long count(String function) {
        return command("standin.count " + function);
    }

    /**
     * Changes what the devices look like or how they behave.
     *
     * @param key devices, capability (80 for 8.0), multiprocessors, shared (bytes a block can opt in to), l2, memory (bytes),
     *     driver (13000, which reads the PTX of nvcc 13.0), registers (what functions say they use; 0: what their launch bounds
     *     allow), clock (how many seconds pass between events in one, so that measurements that want enough of them end sooner),
     *     fast (1: launches are checked and not run), races (1: kernels run under the race detector), machine_code (1: images of
     *     machine code are loaded as a driver of that version would; their kernels fail)
     */
    public static void set(String key, long value) {
        command("standin.set " + key + " " + value);
    }

    /** What the machine found in the last kernel that failed; empty if none did. Needs a current context. */
    public static String errors() {
        CUdeviceptr text = new CUdeviceptr();
        long[] size = new long[1];
        assertEquals(0, JCudaDriver.cuModuleGetGlobal(text, size, new CUmodule(), "standin.errors"));
        byte[] bytes = new byte[(int) size[0]];
        if (bytes.length > 0) {
            assertEquals(0, JCudaDriver.cuMemcpyDtoH(Pointer.to(bytes), text, bytes.length), "reading the errors");
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static long command(String words) {
        long[] size = new long[1];
        assertEquals(0, JCudaDriver.cuModuleGetGlobal(new CUdeviceptr(), size, new CUmodule(), words), words);
        return size[0];
    }
}
