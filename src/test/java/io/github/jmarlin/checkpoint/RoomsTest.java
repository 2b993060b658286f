package io.github.jmarlin.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The doors between the rooms of {@code checkpoint} open one way: container, format, Checkpoint, packed. */
@Tag("source-tree")
final class RoomsTest {
    private static final Path HOME = Path.of("src/main/java/io/github/jmarlin/checkpoint");
    private static final String PREFIX = "io.github.jmarlin.checkpoint.";

    @Test
    void nothingLooksToItsRight() throws IOException {
        List<String> wrong = new ArrayList<>();
        wrong.addAll(mentions("container", "format.", "packed.", "Checkpoint"));
        wrong.addAll(mentions("container/gguf", "format.", "packed.", "Checkpoint"));
        wrong.addAll(mentions("format", "packed.", "Checkpoint"));
        wrong.addAll(mentions("", "packed."));
        assertEquals(List.of(), wrong);
    }

    private static List<String> mentions(String room, String... forbidden) throws IOException {
        List<String> found = new ArrayList<>();
        List<Path> files;
        try (Stream<Path> entries = Files.list(HOME.resolve(room))) {
            files = entries.filter(path -> path.toString().endsWith(".java")).toList();
        }
        assertTrue(!files.isEmpty(), room);
        for (Path file : files) {
            String text = Files.readString(file);
            for (String name : forbidden) {
                if (text.contains("import " + PREFIX + name)) {
                    found.add(file.getFileName() + " imports " + name);
                }
            }
        }
        return found;
    }
}
