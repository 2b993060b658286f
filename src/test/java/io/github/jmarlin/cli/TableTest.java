package io.github.jmarlin.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class TableTest {
    @Test
    void figuresFlushRightUnderFactsFlushLeft() {
        assertEquals("""
                +----------------+
                | device  CPU    |
                | a       longer |
                +----------------+
                |  m     time    |
                +----------------+
                |  1   2.0 ms    |
                | 16    30 ms    |
                +----------------+
                """, Table.ofFigures().fact("device", "CPU").fact("a", "longer").row("m", "time").row("1", "2.0 ms").row("16", "30 ms")
                .toString());
    }

    @Test
    void textFlushLeftWithoutFacts() {
        assertEquals("""
                +-------------+
                | name   what |
                +-------------+
                | a      b    |
                +-------------+
                """, Table.ofText().row("name", "what").row("a", "b").toString());
    }

    @Test
    void rowsAreAsWideAsTheHead() {
        assertThrows(IllegalArgumentException.class, () -> Table.ofText().row("a", "b").row("c"));
    }
}
