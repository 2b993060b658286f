package io.github.jmarlin.bench;

/**
 * Where results come from.
 *
 * @param device name of the GPU, or of the CPU if there is none
 * @param standIn whether the device is the tests' stand-in, whose times mean nothing
 * @param driver version of the NVIDIA driver, or why there is none
 * @param cuda version of CUDA that the driver supports, null without one
 * @param cublas version and place of cuBLAS, or why there is none
 * @param multiprocessors of the GPU, or processors of the JVM
 * @param l2Bytes of the GPU's second-level cache, 0 if unknown
 * @param memoryBytes of the GPU, or the JVM's limit
 * @param java version and vendor of the JVM
 * @param system operating system and processor type
 * @param commit of JMarlin, or {@code unknown}
 */
public record RunInfo(String device, boolean standIn, String driver, String cuda, String cublas, int multiprocessors,
        long l2Bytes, long memoryBytes, String java, String system, String commit) {
}
