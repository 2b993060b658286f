package io.github.jmarlin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the documents name exists, and their lines are short enough to be read. */
@Tag("source-tree")
class DocumentsTest {
    private static final Pattern PATH = Pattern.compile("`((?:src|docs|\\.ci)/[\\w./-]+|[A-Z]+\\.md|\\.editorconfig)`");
    private static final int LONGEST_LINE = 140;

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/checkpoints.md", "docs/engines.md",
        "docs/kernel-costs.md"})
    void pathsExistAndLinesAreShort(String document) throws IOException {
        String text = Files.readString(Path.of(document));
        List<String> missing = new ArrayList<>();
        for (MatchResult path : PATH.matcher(text).results().toList()) {
            if (!Files.exists(Path.of(path.group(1)))) {
                missing.add(path.group(1));
            }
        }
        assertEquals(List.of(), missing);
        assertEquals(List.of(), text.lines().filter(line -> line.length() > LONGEST_LINE && !line.startsWith("|")).toList());
    }

    @Test
    void theWorkflowCallsTheOneScript() throws IOException {
        String workflow = Files.readString(Path.of(".github/workflows/ci.yml"));
        assertTrue(workflow.contains("- run: .ci/run"), workflow);
        assertTrue(Files.isExecutable(Path.of(".ci/run")));
    }
}
