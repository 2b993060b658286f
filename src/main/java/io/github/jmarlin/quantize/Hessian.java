package io.github.jmarlin.quantize;

import io.github.jmarlin.JMarlinException;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.decomposition.TriangularSolver_DDRM;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.CholeskyDecomposition_F64;

/**
 * What calibration says about a layer's inputs: {@code H = 2 / samples * sum of x x^T} over activations x, {@code [k][k]}. The
 * error that a change D of the weights makes in the outputs is, on average, {@code trace(D^T H D) / 2}.
 *
 * <p>Takes 8 k^2 bytes of heap. Not thread-safe; {@link #add} itself uses all processors.
 */
public final class Hessian {
    private final int k;
    /** Sums of products, lower triangle, row-major. */
    private final double[] sums;
    private long samples;

    /** @param k in-features, at most 46340, so that k x k is an array */
    public Hessian(int k) {
        if (k < 1 || (long) k * k > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("k " + k + " is outside 1..46340");
        }
        this.k = k;
        this.sums = new double[k * k];
    }

    /** In-features. */
    public int k() {
        return k;
    }

    /** Activations added so far. */
    public long samples() {
        return samples;
    }

    /**
     * Adds {@code rows} activations, {@code [rows][k]}.
     *
     * @throws IllegalArgumentException if one is not finite; nothing is added then
     */
    public void add(float[] activations, int rows) {
        if (rows < 0 || (long) rows * k != activations.length) {
            throw new IllegalArgumentException("activations have " + activations.length + " elements, which is not [rows " + rows
                    + "][k " + k + "]");
        }
        for (int i = 0; i < activations.length; i++) {
            if (!Float.isFinite(activations[i])) {
                throw new IllegalArgumentException("activation " + activations[i] + " at row " + i / k + ", column " + i % k
                        + " is not finite");
            }
        }
        IntStream.range(0, k).parallel().forEach(i -> {
            for (int row = 0; row < rows; row++) {
                int at = row * k;
                double x = activations[at + i];
                for (int j = 0; j <= i; j++) {
                    sums[i * k + j] += x * activations[at + j];
                }
            }
        });
        samples += rows;
    }

    /** Element (i, j). */
    public double get(int i, int j) {
        return (i >= j ? sums[i * k + j] : sums[j * k + i]) * (2.0 / Math.max(1, samples));
    }

    /** The diagonal: how much each input is in use. */
    public double[] diagonal() {
        return IntStream.range(0, k).mapToDouble(i -> get(i, i)).toArray();
    }

    /**
     * The upper triangular U with {@code U^T U = (P H P^T + damping * mean diagonal * I)^-1}, P the order given: row i holds
     * what an error in input {@code order[i]} costs, and how inputs after it can make up for it. Inputs that were always zero
     * count as independent of the others.
     *
     * <p>U comes from one Cholesky decomposition and one triangular inverse, without inverting H: with J the reversal of rows,
     * {@code J (P H P^T) J = L L^T} gives {@code U = J L^-1 J}.
     *
     * @throws JMarlinException if the damped matrix is not positive definite
     */
    float[][] inverseFactor(int[] order, double damping) {
        double mean = IntStream.range(0, k).mapToDouble(i -> get(i, i)).average().orElseThrow();
        DMatrixRMaj reversed = new DMatrixRMaj(k, k);
        for (int i = 0; i < k; i++) {
            int from = order[k - 1 - i];
            for (int j = 0; j <= i; j++) {
                double value = get(from, order[k - 1 - j]);
                reversed.set(i, j, value);
                reversed.set(j, i, value);
            }
            reversed.add(i, i, (get(from, from) == 0 ? 1 : 0) + damping * mean);
        }
        CholeskyDecomposition_F64<DMatrixRMaj> cholesky = DecompositionFactory_DDRM.chol(k, true);
        if (!cholesky.decompose(reversed)) {
            throw new JMarlinException("Hessian of " + samples + " activations with k " + k + " and damping " + damping
                    + " is not positive definite: use more activations or more damping");
        }
        double[] lower = cholesky.getT(null).getData();
        TriangularSolver_DDRM.invertLower(lower, k);
        float[][] upper = new float[k][k];
        for (int i = 0; i < k; i++) {
            for (int j = i; j < k; j++) {
                upper[i][j] = (float) lower[(k - 1 - i) * k + k - 1 - j];
            }
        }
        return upper;
    }
}
