package io.github.jmarlin.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

/**
 * Files of strangers: whatever the bytes, nothing but the two documented exceptions, no hang, and no more memory than the
 * file's size explains.
 *
 * <p>The build looks for new inputs for {@link #TIME} per test class, each in a JVM of its own (a fuzzer watches every class
 * of its JVM); what it finds it keeps in {@code .cifuzz-corpus}. In an IDE the same methods run their seeds as plain tests.
 */
public final class Fuzzing {
    /** How long each test looks; the option -max_total_time of libFuzzer, which Jazzer drives. */
    public static final String TIME = "5s";
    public static final Path FILE = Path.of("fuzzed");

    private Fuzzing() {
    }

    /** Something that reads. */
    public interface Reading {
        void run();
    }

    /** Lets the documented exceptions pass if they say what was found where. */
    public static void documented(Reading reading) {
        try {
            reading.run();
        } catch (MalformedCheckpointException | UnsupportedCheckpointException e) {
            assertTrue(e.getMessage().contains("found ") && e.getMessage().length() < 4000, e.getMessage());
        }
    }

    public static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
