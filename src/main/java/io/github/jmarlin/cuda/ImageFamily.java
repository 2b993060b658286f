package io.github.jmarlin.cuda;

import java.util.Locale;

/**
 * Kernels that share a folder of {@code src/main/cuda}, an image per target, and the layout of their one argument, which the image
 * publishes as {@code jmarlin_FOLDER_abi}. The first word of a kernel's name is its folder.
 */
enum ImageFamily {
    /** The products that run everywhere. */
    STRIPED(GemmArgs.abi()),
    HOPPER(GemmArgs.abi()),
    GATHER(GatherArgs.abi()),
    DEQUANTIZE(DequantizeArgs.abi());

    private final int[] abi;

    ImageFamily(int[] abi) {
        this.abi = abi;
    }

    /** The family of a kernel. */
    static ImageFamily of(String kernel) {
        for (ImageFamily family : values()) {
            if (kernel.startsWith(family.folder() + "_")) {
                return family;
            }
        }
        throw new IllegalArgumentException("kernel " + kernel + " is of no family that this library knows");
    }

    String folder() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The name under which an image publishes its words. */
    String abiName() {
        return "jmarlin_" + folder() + "_abi";
    }

    /** The words of an image that fits this library: version, size and field offsets of the argument. */
    int[] abi() {
        return abi.clone();
    }
}
