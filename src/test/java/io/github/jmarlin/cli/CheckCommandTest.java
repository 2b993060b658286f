package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CheckCommandTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--seconds 2 --device cpu    | --seconds 2: must be in 3..3600",
        "--seconds 3601 --device cpu | --seconds 3601: must be in 3..3600",
        "--seconds x                 | Invalid value for option '--seconds'",
        "--device cpu                | check asks the kernels of a GPU, and the device is CPU",
        "--device gpu                | --device gpu: must be auto, cpu, cuda",
    })
    void badOptionsAreNamed(String options, String message) {
        Cli run = Cli.run(("check " + options).split(" "));
        assertEquals(2, run.status(), run.out());
        assertTrue(run.err().contains(message), run.err());
    }
}
