package io.github.jmarlin.quantize;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.Tasks;
import java.nio.IntBuffer;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * GPTQ (Frantar et al., arXiv 2210.17323): quantizes one input after the other and lets the inputs still to come make up for the
 * error, as far as calibration says that they move together.
 *
 * <pre>
 *              done     block          later                for each input i of the block:
 *        +-------------+--------+-----------------+           q  = nearest grid value of w[i]
 *   row  |  quantized  | i ...  |                 |           e  = (w[i] - q) / U[i][i]
 *        +-------------+--------+-----------------+           w[j] -= e * U[i][j]  for j > i in the block; for later j at its end
 * </pre>
 * With {@link GptqOptions#pruning} the two of every four inputs that are left out get the value 0, chosen when the first of the four
 * comes up, and their error goes to later inputs like any other; a group's range is that of the weights which then seem to stay.
 *
 * <p>Outputs do not depend on each other, so they run on all processors, some at a time so that U is read once for all of them;
 * and a layer may be quantized some outputs at a time. Immutable and thread-safe; holds 4 k^2 bytes.
 */
public final class GptqQuantizer {
    /** Inputs whose updates to later inputs are applied together. */
    private static final int BLOCK = 128;
    /** Outputs that share a pass over U. */
    private static final int OUTPUTS_AT_ONCE = 32;

    private final int k;
    private final GptqOptions options;
    private final int rowsPerGroup;
    private final int[] order;
    private final double[] importance;
    private final float[][] factor;

    /**
     * Decomposes the Hessian, which is most of the work.
     *
     * @param hessian of the layer's calibration activations; not used afterwards
     * @throws io.github.jmarlin.JMarlinException if the damped Hessian is not positive definite
     */
    public GptqQuantizer(Hessian hessian, GptqOptions options) {
        this.k = hessian.k();
        this.options = options;
        this.rowsPerGroup = new StripedLayout(k, 1, options.groupSize()).rowsPerGroup();
        this.order = options.actOrder() ? actOrder(hessian.diagonal(), options.pruning()) : IntStream.range(0, k).toArray();
        this.importance = IntStream.of(order).mapToDouble(i -> hessian.get(i, i)).toArray();
        this.factor = hessian.inverseFactor(order, options.damping());
    }

    private static void checkWeights(float[] weights, int n, int k) {
        if (n < 1 || (long) n * k != weights.length) {
            throw new IllegalArgumentException("weights have " + weights.length + " elements, which is not [n " + n + "][k " + k
                    + "]");
        }
        for (int i = 0; i < weights.length; i++) {
            if (!Float.isFinite(weights[i])) {
                throw new IllegalArgumentException("weight " + weights[i] + " at output " + i / k + ", input " + i % k
                        + " is not finite");
            }
        }
    }

    /**
     * The error of a quantized layer's outputs on the calibration activations, relative to the outputs, in the Frobenius norm:
     * {@code sqrt(trace(D^T H D) / trace(W^T H W))} with D the difference to the weights {@code [n][k]}.
     */
    public static double outputError(float[] weights, QuantizedMatrix quantized, Hessian hessian) {
        checkWeights(weights, quantized.n(), hessian.k());
        int k = hessian.k();
        IntBuffer order = quantized.inputOrder();
        double[] sums = IntStream.range(0, quantized.n()).parallel().mapToObj(output -> {
            float[] difference = new float[k];
            float[] row = java.util.Arrays.copyOfRange(weights, output * k, (output + 1) * k);
            for (int i = 0; i < k; i++) {
                int input = order == null ? i : order.get(i);
                difference[input] = row[input] - quantized.weight(i, output);
            }
            return new double[] {quadratic(hessian, difference), quadratic(hessian, row)};
        }).reduce(new double[2], (a, b) -> new double[] {a[0] + b[0], a[1] + b[1]});
        return Math.sqrt(sums[0] / sums[1]);
    }

    private static double quadratic(Hessian hessian, float[] x) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            double row = hessian.get(i, i) * x[i];
            for (int j = 0; j < i; j++) {
                row += 2 * hessian.get(i, j) * x[j];
            }
            sum += row * x[i];
        }
        return sum;
    }

    /**
     * The order that {@link GptqOptions#actOrder} means: inputs by falling diagonal of the Hessian, so that those that matter most find
     * the most others to make up for their errors. Where pruning chooses, the upper and the lower half of these in pairs, since two of
     * each four stay:
     * <pre>
     *   rank by importance   0 1 | 4 5   2 3 | 6 7        of 8 inputs; without pruning 0 1 2 3  4 5 6 7
     * </pre>
     */
    public static int[] actOrder(double[] diagonal, Pruning pruning) {
        int k = diagonal.length;
        int[] ranked = IntStream.range(0, k).boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -diagonal[i]).thenComparing(Comparator.naturalOrder()))
                .mapToInt(Integer::intValue).toArray();
        if (!pruning.chooses()) {
            return ranked;
        }
        int upper = 0;
        int lower = (int) IntStream.range(0, k).filter(GptqQuantizer::isOfUpperHalf).count();
        int[] order = new int[k];
        for (int i = 0; i < k; i++) {
            order[i] = ranked[isOfUpperHalf(i) ? upper++ : lower++];
        }
        return order;
    }

    private static boolean isOfUpperHalf(int place) {
        return place % Pruning.QUAD < Pruning.KEPT;
    }

    /**
     * Quantizes a layer, or some of its outputs.
     *
     * @param weights {@code [n][k]}, as checkpoints store them; not changed
     * @throws IllegalArgumentException if a weight is not finite, needs a scale that is not, or there are not n x k
     */
    public QuantizedMatrix quantize(float[] weights, int n) {
        checkWeights(weights, n, k);
        try (QuantizedMatrix.Builder matrix = QuantizedMatrix.builder(k, n, options.groupSize(), options.scaleType())) {
            if (prunes()) {
                matrix.withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
            }
            if (!options.symmetric()) {
                matrix.withZeroPoints();
            }
            if (options.actOrder()) {
                matrix.withInputOrder(IntBuffer.wrap(order));
            }
            // Two outputs share a byte of codes: a task takes an even number of them.
            Tasks.forEach((n - 1) / OUTPUTS_AT_ONCE + 1,
                    part -> quantize(weights, part * OUTPUTS_AT_ONCE, Math.min(n, (part + 1) * OUTPUTS_AT_ONCE), matrix));
            return matrix.build();
        }
    }

    private void quantize(float[] weights, int from, int to, QuantizedMatrix.Builder matrix) {
        float[][] rows = new float[to - from][k];
        for (int output = from; output < to; output++) {
            for (int i = 0; i < k; i++) {
                rows[output - from][i] = weights[output * k + order[i]];
            }
        }
        GroupGrid[] grids = new GroupGrid[to - from];
        float[][] errors = new float[to - from][BLOCK];
        boolean[][] kept = new boolean[prunes() ? to - from : 0][k];
        for (int row = 0; row < rows.length && options.pruning() == Pruning.GIVEN; row++) {
            Pruning.keepGiven(rows[row], from + row, kept[row]);
        }
        for (int begin = 0; begin < k; begin += BLOCK) {
            int end = Math.min(k, begin + BLOCK);
            for (int row = 0; row < rows.length; row++) {
                grids[row] = quantizeBlock(rows[row], begin, end, grids[row], errors[row], from + row, prunes() ? kept[row] : null, matrix);
            }
            for (int i = begin; i < end; i++) {
                for (int row = 0; row < rows.length; row++) {
                    subtract(rows[row], errors[row][i - begin], factor[i], end, k);
                }
            }
        }
    }

    /**
     * Quantizes inputs {@code [begin, end)} of one output; returns the grid in use at the end.
     *
     * @param kept which inputs stay, as far as it is known; null if all do
     */
    private GroupGrid quantizeBlock(float[] row, int begin, int end, GroupGrid current, float[] errors, int output, boolean[] kept,
            QuantizedMatrix.Builder matrix) {
        GroupGrid grid = current;
        for (int i = begin; i < end; i++) {
            if (i % rowsPerGroup == 0) {
                int groupEnd = Math.min(k, i + rowsPerGroup);
                grid = GroupGrid.of(kept == null ? row : remaining(row, i, groupEnd, kept), i, groupEnd, importance, options);
                matrix.setScale(i / rowsPerGroup, output, grid.scale());
                if (!options.symmetric()) {
                    matrix.setZeroPoint(i / rowsPerGroup, output, grid.zeroPoint());
                }
            }
            if (options.pruning().chooses() && i % Pruning.QUAD == 0) {
                options.pruning().choose(row, i, Math.min(k, i + Pruning.QUAD), factor, kept);
            }
            int code = kept == null || kept[i] ? grid.code(row[i]) : QuantizedMatrix.SYMMETRIC_ZERO_POINT;
            matrix.setCode(i, output, code);
            errors[i - begin] = (row[i] - grid.value(code)) / factor[i][i];
            subtract(row, errors[i - begin], factor[i], i + 1, end);
        }
        return grid;
    }

    private boolean prunes() {
        return options.pruning() != Pruning.NONE;
    }

    /** The row with zeros where a group's weights would be left out as they are now. */
    private float[] remaining(float[] row, int from, int to, boolean[] kept) {
        if (options.pruning().chooses()) {
            options.pruning().choose(row, from, to, factor, kept);
        }
        float[] remaining = row.clone();
        for (int i = from; i < to; i++) {
            remaining[i] = kept[i] ? row[i] : 0;
        }
        return remaining;
    }

    /** {@code row[j] -= error * factors[j]} for j in {@code [from, to)}. */
    private static void subtract(float[] row, float error, float[] factors, int from, int to) {
        for (int j = from; j < to; j++) {
            row[j] -= error * factors[j];
        }
    }
}
