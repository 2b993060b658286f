package io.github.jmarlin.plan;

import java.util.Comparator;
import java.util.Locale;
import java.util.Objects;

/**
 * The kernels of a family for a set of weights: what images, checks and reasons speak of. In order: the families, of each the sets.
 *
 * @param family how they multiply
 * @param set what they read
 */
public record Kernels(KernelFamily family, KernelSet set) implements Comparable<Kernels> {
    private static final Comparator<Kernels> ORDER = Comparator.comparing(Kernels::family).thenComparing(Kernels::set);

    public Kernels {
        Objects.requireNonNull(family, "family");
        Objects.requireNonNull(set, "set");
    }

    /** Those of a family for 4-bit integers. */
    public static Kernels of(KernelFamily family) {
        return new Kernels(family, KernelSet.INT4);
    }

    /** Whether the family reads the set at all. */
    public boolean exist() {
        return !set.weights(family).isEmpty();
    }

    @Override
    public int compareTo(Kernels other) {
        return ORDER.compare(this, other);
    }

    /** {@code striped}, {@code striped_sp24}. */
    @Override
    public String toString() {
        return family.name().toLowerCase(Locale.ROOT) + set.imageWord();
    }
}
