package io.github.jmarlin.llama;

import java.util.Arrays;

/** The checks that every {@link Decoder} makes on a step, and how far each sequence's cache is filled. */
final class StepCheck {
    private final LlamaConfig config;
    private final int positions;
    private final int mostRows;
    private final int[] filled;

    StepCheck(LlamaConfig config, int sequences, int positions, int mostRows) {
        if (sequences < 1 || positions < 1 || mostRows < 1) {
            throw new IllegalArgumentException("sequences " + sequences + ", positions " + positions + ", most rows " + mostRows
                    + ": all must be at least 1");
        }
        if (positions > config.positions()) {
            throw new IllegalArgumentException(positions + " positions asked for; this " + config.modelType() + " has "
                    + config.positions());
        }
        this.config = config;
        this.positions = positions;
        this.mostRows = mostRows;
        filled = new int[sequences];
    }

    int sequences() {
        return filled.length;
    }

    int positions() {
        return positions;
    }

    int mostRows() {
        return mostRows;
    }

    /**
     * Checks a step, and counts its rows as cached if it is good.
     *
     * @throws IllegalArgumentException with the values and the rule
     */
    void accept(Step step) {
        int rows = step.rows();
        if (rows < 1 || rows > mostRows || step.sequences().length != rows || step.positions().length != rows) {
            throw new IllegalArgumentException(rows + " tokens, " + step.sequences().length + " sequences and "
                    + step.positions().length + " positions: must be as many of each, 1.." + mostRows);
        }
        int[] next = filled.clone();
        boolean[] seen = new boolean[next.length];
        for (int row = 0; row < rows; row++) {
            int sequence = step.sequences()[row];
            int position = step.positions()[row];
            check(row, "sequence", sequence, next.length);
            check(row, "position", position, positions);
            check(row, "token", step.tokens()[row], config.vocabulary());
            if (seen[sequence] ? position != next[sequence] : position > next[sequence]) {
                throw new IllegalArgumentException("row " + row + ": position " + position + " of sequence " + sequence
                        + " follows " + next[sequence] + " positions: must be the next one" + (seen[sequence] ? "" : " or one of them"));
            }
            seen[sequence] = true;
            next[sequence] = position + 1;
        }
        int last = -1;
        for (int output : step.outputs()) {
            if (output <= last || output >= rows) {
                throw new IllegalArgumentException("outputs " + Arrays.toString(step.outputs()) + ": must ascend, in 0.." + (rows - 1));
            }
            last = output;
        }
        System.arraycopy(next, 0, filled, 0, next.length);
    }

    private static void check(int row, String what, int value, int end) {
        if (value < 0 || value >= end) {
            throw new IllegalArgumentException("row " + row + ": " + what + " " + value + " is outside 0.." + (end - 1));
        }
    }
}
