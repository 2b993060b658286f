package io.github.jmarlin.build;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.stream.Collectors;

/**
 * Which ptxas makes which machine code. A newer one wraps it in a container that older drivers do not load, so a release can name an
 * older one for the architectures that it knows; the younger architectures need new drivers anyway.
 *
 * @param older of architectures 8.x and 9.x
 * @param newer of the others
 */
record Assemblers(Ptxas older, Ptxas newer) {
    private static final int NEWEST_OF_OLDER = 9;

    /** @param named {@code -Djmarlin.ptxas}: auto for the nvcc's own, or the file of the one for older architectures */
    static Assemblers of(Nvcc nvcc, String named) throws IOException, InterruptedException {
        Ptxas own = Ptxas.of(nvcc);
        return new Assemblers(named.equals("auto") ? own : Ptxas.of(Path.of(named)), own);
    }

    Ptxas of(KernelImage image) {
        int number = Integer.parseInt(image.target().replaceAll("\\D", ""));
        return number / 10 <= NEWEST_OF_OLDER ? older : newer;
    }

    String versions(Collection<KernelImage> images) {
        return images.stream().map(image -> of(image).version()).distinct().collect(Collectors.joining(" and "));
    }
}
