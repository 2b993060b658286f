package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/**
 * stories260K, a real trained model with 256 greedy tokens as transformers computes them in fp32: not in this tree. Tests that want it
 * look in {@code -Djmarlin.stories=DIR} and in {@code ../shared/fixtures/stories260K}, and are skipped without.
 */
public final class Stories {
    private Stories() {
    }

    public static Path folder() {
        Path folder = Path.of(System.getProperty("jmarlin.stories", "../shared/fixtures/stories260K"));
        Assumptions.assumeTrue(Files.isRegularFile(folder.resolve("expected.json")),
                "no stories260K in " + folder + " (-Djmarlin.stories=DIR)");
        return folder;
    }

    static ConfigNode expected() throws IOException {
        return Json.read(folder().resolve("expected.json"));
    }

    /** The first is the beginning of the sequence. */
    public static int[] ids() throws IOException {
        return expected().get("greedy_ids").items().stream().mapToInt(id -> (int) id.number()).toArray();
    }

    static double meanLogProbability() throws IOException {
        return (Double) expected().get("mean_log_prob").raw();
    }
}
