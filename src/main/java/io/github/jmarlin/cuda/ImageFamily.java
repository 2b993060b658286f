package io.github.jmarlin.cuda;

import io.github.jmarlin.plan.KernelFamily;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Kernels that share a folder of {@code src/main/cuda} and the layout of their one argument, which their images publish as
 * {@code jmarlin_FOLDER_abi}. The first word of a kernel's name is its folder. A family with tiles has an image, a module, for each:
 * {@code striped_f16_sym_g64_m8_n64} is in {@code striped_m8_n64}.
 */
enum ImageFamily {
    /** The products that run everywhere. */
    STRIPED("_m8_n64", GemmArgs.abi()),
    HOPPER("_m8_n128_p1_s1", GemmArgs.abi()),
    GATHER("", GatherArgs.abi()),
    DEQUANTIZE("", DequantizeArgs.abi()),
    DECODER("", DecoderKernel.abi());

    /** What a kernel's name says of its tile: the last words, from the rows on. */
    private static final Pattern TILE = Pattern.compile("_m\\d+_n\\d+\\w*$");

    /** What setmaxnreg divides between the warps of a Hopper kernel; hopper.cu says the same to the build. */
    static final int HOPPER_REGISTERS = 168;

    /** Types, zero points and group sizes that every tile has a kernel for. */
    private static final List<String> FORMS = List.of("f16_sym_g64", "f16_sym_g32", "f16_zp_g64", "f16_zp_g32", "bf16_sym_g64",
            "bf16_sym_g32", "bf16_zp_g64", "bf16_zp_g32");

    private final String firstTile;
    private final int[] abi;

    /** @param firstTile a tile of the family, as names end in it; empty if it has none */
    ImageFamily(String firstTile, int[] abi) {
        this.firstTile = firstTile;
        this.abi = abi;
    }

    /** The kernels that a product of a family needs; of {@link KernelFamily#DENSE} those that expand the weights. */
    static ImageFamily of(KernelFamily family) {
        return family == KernelFamily.DENSE ? DEQUANTIZE : valueOf(family.name());
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

    /** The image that holds a kernel of this family, without its target. */
    String module(String kernel) {
        Matcher tile = TILE.matcher(kernel);
        return tile.find() ? folder() + tile.group() : folder();
    }

    /** The module to ask about the whole family: where this one loads, all do. */
    String firstModule() {
        return folder() + firstTile;
    }

    /**
     * Kernels to look at before a module is trusted: of a tile one, of a Hopper tile all, which must have {@link #HOPPER_REGISTERS}
     * registers.
     */
    List<String> kernelsToCheck(String module) {
        if (firstTile.isEmpty()) {
            return List.of();
        }
        List<String> kernels = new ArrayList<>();
        for (String form : this == HOPPER ? FORMS : FORMS.subList(0, 1)) {
            kernels.add(folder() + "_" + form + module.substring(folder().length()));
        }
        return kernels;
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
