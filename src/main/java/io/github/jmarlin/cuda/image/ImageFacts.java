package io.github.jmarlin.cuda.image;

import java.util.Properties;

/**
 * What the build wrote about one image.
 *
 * @param file its name, {@code striped_m8_n64.sm_80.cubin}
 * @param ptxVersion of the text, or of the text that the machine code was made of, as in 7.4; empty if unknown
 * @param ptxas version of the assembler of machine code; empty for PTX and if unknown
 * @param elfAbi ABI version of the ELF container of machine code, as in 7; empty for PTX and if unknown
 * @param leastDriver the oldest driver that can be expected to load it, as in R525 (CUDA 12.0); empty if unknown
 */
public record ImageFacts(String file, String ptxVersion, String ptxas, String elfAbi, String leastDriver) {

    static ImageFacts of(String file, Properties manifest) {
        return new ImageFacts(file, manifest.getProperty(file + ".ptx", ""), manifest.getProperty(file + ".ptxas", ""),
                manifest.getProperty(file + ".elf.abi", ""), manifest.getProperty(file + ".driver", ""));
    }

    /** Whether it is a text that the driver compiles; else machine code. */
    public boolean isPtx() {
        return file.endsWith(".ptx");
    }

    /** The kernel family and, of one with tiles, the tile: {@code striped_m8_n64}. */
    public String module() {
        return file.substring(0, file.indexOf('.'));
    }

    /** The module without its tile: {@code striped}, {@code striped_sp24}. */
    public String kernels() {
        return module().replaceFirst("_m\\d+_.*", "");
    }

    /** As compilers name it: {@code sm_80}, {@code compute_90a}. */
    public String target() {
        return file.substring(file.indexOf('.') + 1, file.lastIndexOf('.'));
    }

    /** The devices that could run it. */
    public String capabilities() {
        String number = target().replaceAll("\\D", "");
        String first = number.substring(0, number.length() - 1) + "." + number.charAt(number.length() - 1);
        if (target().endsWith("a")) {
            return first;
        }
        return isPtx() ? first + " and newer" : first + " and newer of " + first.replaceFirst("\\.\\d", ".x");
    }

    /** What it is and which driver it takes: "machine code, ptxas 13.0.88, ELF ABI 8, R580 (CUDA 13.0) or newer". */
    public String description() {
        String what = isPtx() ? "PTX" + word(" ", ptxVersion) : "machine code" + word(", ptxas ", ptxas) + word(", ELF ABI ", elfAbi);
        return what + (leastDriver.isEmpty() ? "" : ", for drivers from " + leastDriver + " on");
    }

    private static String word(String before, String text) {
        return text.isEmpty() ? "" : before + text;
    }
}
