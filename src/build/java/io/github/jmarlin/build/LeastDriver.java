package io.github.jmarlin.build;

import java.util.Map;

/** The oldest driver branch that can be expected to load an image, with the CUDA version that it reports. */
final class LeastDriver {
    /** NVIDIA's release notes: the PTX version that came with each CUDA version, and its first Linux driver branch. */
    private static final Map<String, String> OF_PTX = Map.ofEntries(
            Map.entry("7.0", "R450 (CUDA 11.0)"), Map.entry("7.1", "R455 (CUDA 11.1)"), Map.entry("7.2", "R460 (CUDA 11.2)"),
            Map.entry("7.3", "R465 (CUDA 11.3)"), Map.entry("7.4", "R470 (CUDA 11.4)"), Map.entry("7.5", "R495 (CUDA 11.5)"),
            Map.entry("7.6", "R510 (CUDA 11.6)"), Map.entry("7.7", "R515 (CUDA 11.7)"), Map.entry("7.8", "R520 (CUDA 11.8)"),
            Map.entry("8.0", "R525 (CUDA 12.0)"), Map.entry("8.1", "R530 (CUDA 12.1)"), Map.entry("8.2", "R535 (CUDA 12.2)"),
            Map.entry("8.3", "R545 (CUDA 12.3)"), Map.entry("8.4", "R550 (CUDA 12.4)"), Map.entry("8.5", "R555 (CUDA 12.5)"),
            Map.entry("8.6", "R565 (CUDA 12.7)"), Map.entry("8.7", "R570 (CUDA 12.8)"), Map.entry("8.8", "R575 (CUDA 12.9)"),
            Map.entry("9.0", "R580 (CUDA 13.0)"));

    private LeastDriver() {
    }

    /** @param version as in 7.4 */
    static String ofPtx(String version) {
        String driver = OF_PTX.get(version);
        if (driver == null) {
            throw new KernelBuildException("PTX " + version + " belongs to no CUDA version that the build knows");
        }
        return driver;
    }

    /**
     * Machine code runs on any driver of its major version, in principle; in the field drivers before R570 refuse what ptxas 12.8
     * made.
     *
     * @param version as in 12.6.77
     */
    static String ofPtxas(String version) {
        String[] numbers = version.split("\\.");
        int release = Integer.parseInt(numbers[0]) * 10 + Integer.parseInt(numbers[1]);
        if (release < 128) {
            return "R525 (CUDA 12.0)";
        }
        return release < 130 ? "R570 (CUDA 12.8)" : "R580 (CUDA 13.0)";
    }
}
