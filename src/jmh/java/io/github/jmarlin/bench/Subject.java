package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;

/**
 * What a time is about.
 *
 * @param kind a layer, a whole block, or the device itself
 * @param name of the layer or model; {@code device} otherwise
 * @param k in-features of a layer, otherwise 0
 * @param n out-features of a layer, otherwise 0
 * @param m tokens; 0 for the device
 * @param type of activations and outputs; null for the device
 */
public record Subject(Kind kind, String name, int k, int n, int m, DataType type) {
    /** The kinds of subjects. */
    public enum Kind {
        /** One product of a linear layer. */
        LAYER,
        /** All linear layers of a transformer block, one after another. */
        BLOCK,
        /** A property of the device: what an empty kernel costs, how fast a copy is. */
        DEVICE
    }

    /** One product {@code C[m][n] = A[m][k] * W[k][n]}. */
    public static Subject layer(LayerShape shape, int m, DataType type) {
        return new Subject(Kind.LAYER, shape.name(), shape.k(), shape.n(), m, type);
    }

    /** All linear layers of a model's block. */
    public static Subject block(ModelShapes.Model model, int m, DataType type) {
        return new Subject(Kind.BLOCK, model.name(), 0, 0, m, type);
    }

    /** The device itself. */
    public static Subject device() {
        return new Subject(Kind.DEVICE, "device", 0, 0, 0, null);
    }

    /** The same text for the same work: layers of equal size are the same work whatever they are called. */
    public String key() {
        String what = kind == Kind.LAYER ? k + "x" + n : name;
        return kind == Kind.DEVICE ? what : what + " m" + m + " " + type;
    }
}
