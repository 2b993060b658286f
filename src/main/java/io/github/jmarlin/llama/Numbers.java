package io.github.jmarlin.llama;

import io.github.jmarlin.checkpoint.container.ConfigNode;

/** Numbers of a configuration, with the rules that all of them have. */
final class Numbers {
    private Numbers() {
    }

    /** A whole number of at least 1 that fits an int. */
    static int count(ConfigNode node) {
        long value = node.number();
        if (value < 1 || value > Integer.MAX_VALUE) {
            throw node.malformed("must be in 1.." + Integer.MAX_VALUE);
        }
        return (int) value;
    }

    static int count(ConfigNode node, int otherwise) {
        return node.isNull() ? otherwise : count(node);
    }

    /** A finite number above 0. */
    static double positive(ConfigNode node) {
        if (!(node.raw() instanceof Number number) || !(number.doubleValue() > 0) || !Double.isFinite(number.doubleValue())) {
            throw node.malformed("must be a number above 0");
        }
        return number.doubleValue();
    }

    static double positive(ConfigNode node, double otherwise) {
        return node.isNull() ? otherwise : positive(node);
    }
}
