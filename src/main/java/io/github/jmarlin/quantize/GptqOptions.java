package io.github.jmarlin.quantize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import java.util.Objects;

/**
 * How {@link GptqQuantizer} works.
 *
 * @param groupSize -1, 32, 64, 128 or 256
 * @param scaleType FP16 or BF16
 * @param symmetric zero point 8 everywhere, or one per group
 * @param actOrder quantize the inputs that matter most first; the matrix then has an input order
 * @param damping added to the Hessian's diagonal, as a part of its mean; 0.01 is usual
 * @param clippingSearch look for the range of each group with the least error, instead of the one that spans it
 * @param pruning which two of every four neighbouring inputs stay, in the order in which they are quantized; only of symmetric weights
 *     in groups of 64 or more
 */
public record GptqOptions(int groupSize, DataType scaleType, boolean symmetric, boolean actOrder, double damping,
        boolean clippingSearch, Pruning pruning) {
    /** Symmetric groups of 128 with fp16 scales, act order, damping 0.01, clipping search. */
    public static final GptqOptions DEFAULT = new GptqOptions(128, DataType.FP16, true, true, 0.01, true);

    /** All inputs stay. */
    public GptqOptions(int groupSize, DataType scaleType, boolean symmetric, boolean actOrder, double damping, boolean clippingSearch) {
        this(groupSize, scaleType, symmetric, actOrder, damping, clippingSearch, Pruning.NONE);
    }

    /** The same with another pruning. */
    public GptqOptions withPruning(Pruning other) {
        return new GptqOptions(groupSize, scaleType, symmetric, actOrder, damping, clippingSearch, other);
    }

    /** Checks the values. */
    public GptqOptions {
        new StripedLayout(1, 1, groupSize);
        if (scaleType == null || !scaleType.is16Bit()) {
            throw new IllegalArgumentException("scale type " + scaleType + " is not supported: FP16 or BF16 expected");
        }
        if (!(damping > 0 && damping <= 1)) {
            throw new IllegalArgumentException("damping " + damping + " is outside 0 (excluded)..1");
        }
        Objects.requireNonNull(pruning, "pruning");
        if (pruning != Pruning.NONE) {
            WeightForm.int4(groupSize, !symmetric).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        }
        if (pruning == Pruning.GIVEN && actOrder) {
            throw new IllegalArgumentException("pruning " + pruning + " in act order: which inputs are neighbours would change");
        }
    }
}
