package io.github.jmarlin.bench;

/**
 * The weights of one linear layer.
 *
 * @param name which layer, for instance {@code QKV}
 * @param k in-features
 * @param n out-features; fused layers count all their outputs
 */
public record LayerShape(String name, int k, int n) {
    public LayerShape {
        if (k < 1 || n < 1) {
            throw new IllegalArgumentException(("layer " + name).strip() + " has shape " + k + " x " + n
                    + ", expected at least 1 x 1");
        }
    }

    /** Weights in the matrix. */
    public long weights() {
        return (long) k * n;
    }

    /** {@code k x n} for people. */
    public String size() {
        return k + "x" + n;
    }
}
