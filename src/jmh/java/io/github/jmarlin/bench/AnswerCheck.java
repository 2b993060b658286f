package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Compares answers with fp64 at rows and columns drawn at random, the first and the last among them: a full reference of a large
 * layer would take longer than everything else.
 */
public final class AnswerCheck {
    private static final int ROWS = 8;
    private static final int COLUMNS = 256;

    private final int[] rows;
    private final int[] columns;
    private final double[] expected;
    private final int m;

    /** An answer, element by element. */
    @FunctionalInterface
    public interface Answer {
        /** The element of a row and column. */
        float at(int row, int column);
    }

    /**
     * @param weights of the product
     * @param activations the rows of {@link Operands#activations}
     * @param m rows of the product
     */
    public AnswerCheck(QuantizedMatrix weights, float[] activations, int m) {
        this.m = m;
        rows = chosen(m, ROWS);
        columns = chosen(weights.n(), COLUMNS);
        expected = new double[rows.length * columns.length];
        IntStream.range(0, columns.length).parallel().forEach(j -> {
            double[] column = new double[weights.k()];
            for (int i = 0; i < column.length; i++) {
                column[i] = weights.weight(i, columns[j]);
            }
            for (int r = 0; r < rows.length; r++) {
                int from = rows[r] % Operands.DISTINCT_ROWS * column.length;
                double sum = 0;
                for (int i = 0; i < column.length; i++) {
                    sum += activations[from + i] * column[i];
                }
                expected[r * columns.length + j] = sum;
            }
        });
    }

    /** All of a small range, else its first, its last and some between. */
    private static int[] chosen(int size, int count) {
        if (size <= count) {
            return IntStream.range(0, size).toArray();
        }
        IntStream between = new SplittableRandom(size).ints(1, size - 1).distinct().limit(count - 2);
        return IntStream.concat(IntStream.of(0, size - 1), between).sorted().toArray();
    }

    /** The rows that are looked at. */
    public int[] rows() {
        return rows.clone();
    }

    /** Rows of the product. */
    public int m() {
        return m;
    }

    /** The relative Frobenius error over what is looked at; NaN if any of it is. */
    public double error(Answer answer) {
        double difference = 0;
        double norm = 0;
        for (int r = 0; r < rows.length; r++) {
            for (int j = 0; j < columns.length; j++) {
                double reference = expected[r * columns.length + j];
                double off = answer.at(rows[r], columns[j]) - reference;
                difference += off * off;
                norm += reference * reference;
            }
        }
        return Math.sqrt(difference / norm);
    }

    /**
     * What JMarlin's error may be: the README's bound for a whole result, with four standard deviations of leave for looking at
     * few elements.
     *
     * @param type of activations and outputs
     */
    public double bound(DataType type) {
        return (1 + 4 / Math.sqrt(2.0 * expected.length)) * switch (type) {
            case FP16 -> 3e-4;
            case BF16 -> 3.5e-3;
            case FP32 -> 1e-6;
        };
    }

    /** What a baseline's error may be, whose dense weights are rounded to the type and whose sums may be fp32 in any order. */
    public double baselineBound(DataType type) {
        return type == DataType.FP32 ? 2e-5 : 2 * bound(type);
    }
}
