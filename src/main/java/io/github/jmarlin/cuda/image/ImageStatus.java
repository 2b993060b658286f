package io.github.jmarlin.cuda.image;

import java.util.List;

/**
 * Which image of a kernel family a device's driver takes.
 *
 * @param image name of the file that it took; empty if none
 * @param refusals a sentence for each image that was tried before and is not used: which, and what the driver said of it
 * @param problem why the family cannot be used, in one sentence with all refusals; empty if it can
 */
public record ImageStatus(String image, List<String> refusals, String problem) {
    public ImageStatus {
        refusals = List.copyOf(refusals);
    }

    /** Of a family that cannot be used. */
    public static ImageStatus unusable(String problem) {
        return new ImageStatus("", List.of(), problem);
    }

    /** Whether an image was loaded. */
    public boolean isUsable() {
        return problem.isEmpty();
    }
}
