package io.github.jmarlin.build;

/**
 * One output file, {@code <family>[_<tile>].<target>.ptx} or {@code .cubin}: the kernels of a family, or of one of its tiles, for one
 * target.
 *
 * @param tile the numbers of the tile, as in 8,64; empty if the family has no tiles
 * @param module family and tile as kernels are named: {@code striped_m8_n64}
 */
record KernelImage(KernelSources.Family family, String tile, String module, String target) {
    boolean isPtx() {
        return target.startsWith("compute_");
    }

    String fileName() {
        return module + "." + target + (isPtx() ? ".ptx" : ".cubin");
    }

    /** The image whose text is assembled into this machine code; features of an "a" architecture are in no other's. */
    KernelImage ptx() {
        return new KernelImage(family, tile, module, target.endsWith("a") ? target.replace("sm_", "compute_") : "compute_80");
    }

    /** The PTX version, times ten, that an image is written in. */
    int ptxVersion() {
        return target.endsWith("a") ? Math.max(family.ptxVersion(), Targets.PTX_OF_90A) : family.ptxVersion();
    }
}
