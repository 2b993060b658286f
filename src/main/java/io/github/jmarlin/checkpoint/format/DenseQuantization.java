package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.quantize.Pruning;
import java.util.regex.Pattern;

/**
 * How linear layers in full precision become 4-bit when they are read, and which tensors are such layers: the architecture's own
 * if it is known, else matrices {@code <layer>.weight} in F16, BF16 or F32 whose name and shape speak for it; with a pattern
 * {@code excluded} other than {@link #USUALLY_EXCLUDED}, every matrix whose layer name it does not find.
 *
 * @param groupSize -1, 32, 64, 128 or 256
 * @param symmetric zero point 8 everywhere, or one per group
 * @param clippingSearch look for the range of each group with the least squared error
 * @param excluded layers to leave alone
 * @param calibration layers that it has are quantized with GPTQ, in act order; the others, or all if it is null, to the nearest
 * @param pruning 2:4 sparsity: {@code GIVEN} takes layers that are sparse already and refuses others, {@code SPARSE_GPT} prunes those
 *     that {@code calibration} has and refuses the others; only of symmetric weights in groups of 64 or more
 */
public record DenseQuantization(int groupSize, boolean symmetric, boolean clippingSearch, Pattern excluded,
        Calibration calibration, Pruning pruning) {
    /**
     * Embeddings, output heads, norms, expert routers, and the towers of other senses: lookups, or too sensitive for four bits. Where
     * the architecture is known, its declared layers decide instead.
     */
    public static final Pattern USUALLY_EXCLUDED = Pattern.compile("embed|norm|(^|\\.)ln_|relative_attention_bias"
            + "|(^|\\.)(wte|wpe|lm_head|output_head|output|head|score|classifier|qa_outputs|shared)$"
            + "|(^|\\.)(router|gate|shared_expert_gate|wg|switch)$|(^|\\.)router\\."
            + "|vision|visual|audio|multi_modal|mm_projector");

    /** Symmetric, groups of 128, with clipping search, to the nearest. */
    public static final DenseQuantization DEFAULT = new DenseQuantization(128, true, true, USUALLY_EXCLUDED, null);

    /** Every weight is stored. */
    public DenseQuantization(int groupSize, boolean symmetric, boolean clippingSearch, Pattern excluded, Calibration calibration) {
        this(groupSize, symmetric, clippingSearch, excluded, calibration, Pruning.NONE);
    }

    /** Checks group size and pruning. */
    public DenseQuantization {
        WeightForm form = WeightForm.int4(groupSize, !symmetric);
        if (pruning != Pruning.NONE) {
            form.withSparsity(WeightForm.Sparsity.TWO_OF_FOUR);
        }
        if (pruning == Pruning.SPARSE_GPT && calibration == null) {
            throw new IllegalArgumentException("pruning needs calibration: without it a pruned model is ruined");
        }
    }

    /** Which weights of a layer are stored. */
    WeightForm.Sparsity sparsity() {
        return pruning == Pruning.NONE ? WeightForm.Sparsity.DENSE : WeightForm.Sparsity.TWO_OF_FOUR;
    }

    /** Whether the library's own rules choose the layers. */
    boolean usesDefaults() {
        return excluded == USUALLY_EXCLUDED;
    }

    /** What a packed model depends on, as text. */
    public String describe() {
        return "group " + groupSize + ", symmetric " + symmetric + ", clipping " + clippingSearch + ", except " + excluded
                + ", calibration " + (calibration == null ? "none" : calibration.describe())
                + (pruning == Pruning.NONE ? "" : ", pruning " + pruning);
    }
}
