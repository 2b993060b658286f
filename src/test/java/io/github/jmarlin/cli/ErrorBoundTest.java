package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.testing.NumberForms;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class ErrorBoundTest {
    private static final Pattern ROW = Pattern.compile("(?m)^\\| (fp16|bf16|fp32)\\b[^|]*\\| (\\S+e-\\d) \\| (\\S+e-\\d) \\|$");

    @Test
    @Tag("source-tree")
    void theReadmePromisesTheSame() throws IOException {
        Map<String, String> promised = new TreeMap<>();
        for (MatchResult row : ROW.matcher(Files.readString(Path.of("README.md"))).results().toList()) {
            promised.put(row.group(1), Double.parseDouble(row.group(2)) + ", " + Double.parseDouble(row.group(3)));
        }
        Map<String, String> checked = new TreeMap<>();
        for (DataType type : DataType.values()) {
            checked.put(type.name().toLowerCase(java.util.Locale.ROOT), ErrorBound.of(type, WeightForm.int4(128, false)) + ", "
                    + ErrorBound.of(type, WeightForm.int4(128, true)));
        }
        assertEquals(checked, promised);
    }

    /** Which column of the README's table the other numbers are in: its first is of symmetric 4-bit numbers. */
    @Test
    void otherNumbersArePromisedTheSame() {
        NumberForms.all().forEach(form -> {
            boolean first = form.code() != WeightForm.Code.INT8 && form.offset() == WeightForm.Offset.MIDDLE;
            for (DataType type : DataType.values()) {
                assertEquals(ErrorBound.of(type, WeightForm.int4(128, !first)), ErrorBound.of(type, form), form + ", " + type);
            }
        });
    }
}
