package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A wrong command line gets two lines, the useful one last, and names only values that work. */
final class UsageErrorsTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "pack a b --dtype fp32 | jmarlin pack: Invalid value for option '--dtype': must be fp16 or bf16, not fp32",
        "pack a b --dtype x | must be fp16 or bf16, not x",
        "demo --dtype fp32 | must be fp16 or bf16, not fp32",
        "tune --dtype int8 | must be fp16 or bf16, not int8",
        "bench --shape 64x64 --type fp32 | must be fp16 or bf16, not fp32",
        "bench --shape 64x64 --mode host | must be graph, stream or flushed, not host",
        "pack a | Missing required parameter: 'OUT_DIR'",
        "pack a b c | Unmatched argument at index 3: 'c'",
        "pack a b --threads 0 | --threads 0: must be at least 1",
        "inspect a --group 48 | --group 48: group size 48 is not supported: one of [-1, 16, 32, 64, 128, 256]",
        "verify a --device gpu | --device gpu: must be auto, cpu, cuda or cuda:<index>",
        "frob | jmarlin: Unmatched argument at index 0: 'frob'",
    })
    void usefulLineLast(String line, String message) {
        Cli run = Cli.run(line.split(" "));
        assertEquals(2, run.status(), run.toString());
        List<String> lines = run.err().lines().toList();
        assertEquals(2, lines.size(), run.toString());
        assertTrue(lines.get(0).matches("`jmarlin( \\w+)? --help` lists the options"), run.toString());
        assertTrue(lines.get(1).contains(message), run.toString());
        assertEquals("", run.out());
    }
}
