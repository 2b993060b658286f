package io.github.jmarlin.cuda;

import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Kernels that share a folder of {@code src/main/cuda} and the layout of their one argument. The first word of a kernel's name is its
 * folder. What only some weights need is in images of its own, and what has tiles has an image, a module, for each:
 * <pre>
 *   kernel                           module                what its images publish, the layout of the argument
 *   striped_f16_sym_g64_m8_n64       striped_m8_n64        jmarlin_striped_abi
 *   striped_f16_sp24_g128_m8_n64     striped_sp24_m8_n64   jmarlin_striped_sp24_abi
 *   striped_f16_sym_g64_m64_n256_h2  striped_halves_m64_n256_h2, jmarlin_striped_halves_abi
 *   gather_16bit                     gather                jmarlin_gather_abi
 * </pre>
 */
enum ImageFamily {
    /** The products that run everywhere. */
    STRIPED(GemmArgs.abi()),
    HOPPER(GemmArgs.abi()),
    GATHER(GatherArgs.abi()),
    DEQUANTIZE(DequantizeArgs.abi()),
    DECODER(DecoderKernel.abi());

    /** What a kernel's name says of its tile: the last words, from the rows on. */
    private static final Pattern TILE = Pattern.compile("_m\\d+_n\\d+\\w*$");
    /** What it says of the weights behind the folder: type, what a weight is, group size. */
    private static final Pattern WEIGHTS = Pattern.compile("^_(b?f16)_([a-z0-9]+)_g\\d+");

    /** The end of a tile's words where it is one in halves. */
    private static final String IN_HALVES = "_h2";

    /** What setmaxnreg divides between the warps of a Hopper kernel; its entry files say the same to the build. */
    static final int HOPPER_REGISTERS = 168;

    private final int[] abi;

    ImageFamily(int[] abi) {
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
        String rest = kernel.substring(folder().length());
        Matcher weights = WEIGHTS.matcher(rest);
        Matcher tile = TILE.matcher(rest);
        String tileWords = tile.find() ? tile.group() : "";
        return folder() + (weights.find() ? KernelSet.ofTag(weights.group(2)).imageWord() : "")
                + (tileWords.endsWith(IN_HALVES) ? KernelSet.HALVES : "") + tileWords;
    }

    /** The module to ask about all of this family's kernels for a set of weights: where this one loads, all do. */
    String firstModule(KernelSet set) {
        return switch (this) {
            case STRIPED -> module(set.tiles().get(0).kernelName(set.instances(KernelFamily.STRIPED).get(0)));
            case HOPPER -> module(set.hopperTiles().get(0).kernelName(set.instances(KernelFamily.HOPPER).get(0)));
            case DEQUANTIZE -> folder() + set.imageWord();
            case GATHER, DECODER -> folder();
        };
    }

    /**
     * Kernels to look at before a module is trusted: of a tile one, of a Hopper tile all, which must have {@link #HOPPER_REGISTERS}
     * registers.
     */
    List<String> kernelsToCheck(String module) {
        Matcher tile = TILE.matcher(module);
        if (!tile.find()) {
            return List.of();
        }
        String word = module.substring(folder().length(), tile.start()).replace(KernelSet.HALVES, "");
        List<String> kernels = KernelSet.ofImageWord(word).instances(KernelFamily.valueOf(name())).stream()
                .map(instance -> folder() + "_" + instance + tile.group()).toList();
        return this == HOPPER ? kernels : kernels.subList(0, 1);
    }

    String folder() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The name under which a module's images publish their words. */
    static String abiName(String module) {
        return "jmarlin_" + TILE.matcher(module).replaceFirst("") + "_abi";
    }

    /** The words of an image that fits this library: version, size and field offsets of the argument. */
    int[] abi() {
        return abi.clone();
    }
}
