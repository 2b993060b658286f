package io.github.jmarlin.cli;

import java.util.ArrayList;
import java.util.List;

/** One framed table for a terminal: lines of a name and a text, then a grid under column heads. */
final class Table {
    private final List<String[]> facts = new ArrayList<>();
    private final List<String[]> grid = new ArrayList<>();
    private final boolean figures;

    private Table(boolean figures) {
        this.figures = figures;
    }

    /** Cells flush right, so that figures stand below each other. */
    static Table ofFigures() {
        return new Table(true);
    }

    /** Cells flush left. */
    static Table ofText() {
        return new Table(false);
    }

    Table fact(String name, String text) {
        facts.add(new String[] {name, text});
        return this;
    }

    /** The first row is the head; every row has as many cells. */
    Table row(String... cells) {
        if (!grid.isEmpty() && cells.length != grid.get(0).length) {
            throw new IllegalArgumentException("a row of " + cells.length + " cells under a head of " + grid.get(0).length);
        }
        grid.add(cells);
        return this;
    }

    @Override
    public String toString() {
        int nameWidth = facts.stream().mapToInt(fact -> fact[0].length()).max().orElse(0);
        List<String> factLines = facts.stream().map(fact -> pad(fact[0], nameWidth) + "  " + fact[1]).toList();
        int[] widths = new int[grid.isEmpty() ? 0 : grid.get(0).length];
        for (String[] row : grid) {
            for (int i = 0; i < row.length; i++) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        List<String> gridLines = grid.stream().map(row -> gridLine(row, widths)).toList();
        int width = Math.max(longest(factLines), longest(gridLines));
        String rule = "+" + "-".repeat(width + 2) + "+\n";
        StringBuilder text = new StringBuilder(rule);
        factLines.forEach(line -> text.append("| ").append(pad(line, width)).append(" |\n"));
        for (int i = 0; i < gridLines.size(); i++) {
            if (i < 2 && !(i == 0 && factLines.isEmpty())) {
                text.append(rule);
            }
            text.append("| ").append(pad(gridLines.get(i), width)).append(" |\n");
        }
        return text.append(rule).toString();
    }

    private String gridLine(String[] cells, int[] widths) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < cells.length; i++) {
            String space = " ".repeat(widths[i] - cells[i].length());
            line.append(i == 0 ? "" : "   ").append(figures ? space + cells[i] : cells[i] + space);
        }
        return line.toString();
    }

    private static int longest(List<String> lines) {
        return lines.stream().mapToInt(String::length).max().orElse(0);
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(width - text.length());
    }
}
