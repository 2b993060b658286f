package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.DataType;

/**
 * The shape of a decoder as far as the kernels need it.
 *
 * @param type of activations, key/value cache and dense weights, FP16 or BF16; the residual stream and the logits are FP32
 * @param vocabulary rows of the embedding, and logits of a row
 * @param hidden elements of the residual stream, a multiple of 8
 * @param intermediate elements between gate/up and down, a multiple of 8
 * @param heads query heads, a multiple of {@code keyValueHeads}; consecutive ones share one
 * @param keyValueHeads heads of keys and of values
 * @param headSize elements of a head, a multiple of 8, at most 256
 * @param epsilon what RMSNorm adds to the mean square
 */
public record DecoderShape(DataType type, int vocabulary, int hidden, int intermediate, int heads, int keyValueHeads, int headSize,
        float epsilon) {
    private static final int LARGEST_HEAD = 256;

    /** Checks what the kernels count on. */
    public DecoderShape {
        if (type != DataType.FP16 && type != DataType.BF16) {
            throw new IllegalArgumentException("activations of type " + type + ": must be FP16 or BF16");
        }
        if (vocabulary < 1 || heads < 1 || keyValueHeads < 1 || heads % keyValueHeads != 0) {
            throw new IllegalArgumentException("vocabulary " + vocabulary + ", heads " + heads + ", key/value heads " + keyValueHeads
                    + ": must be positive, and heads a multiple of key/value heads");
        }
        multipleOf8("hidden size", hidden);
        multipleOf8("intermediate size", intermediate);
        multipleOf8("head size", headSize);
        if (headSize > LARGEST_HEAD) {
            throw new IllegalArgumentException("head size " + headSize + ": the GPU kernels take up to " + LARGEST_HEAD);
        }
        if ((heads + 2L * keyValueHeads) * headSize > Integer.MAX_VALUE || 2L * intermediate > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("heads " + heads + " + 2 * " + keyValueHeads + " of " + headSize + " elements, intermediate "
                    + intermediate + " * 2: must be below 2^31");
        }
    }

    private static void multipleOf8(String what, int value) {
        if (value < 8 || value % 8 != 0) {
            throw new IllegalArgumentException(what + " " + value + ": the GPU kernels need a multiple of 8");
        }
    }

    /** Columns of the joined product of q, k and v. */
    public int qkv() {
        return (heads + 2 * keyValueHeads) * headSize;
    }

    /** Columns of all heads of q. */
    public int queries() {
        return heads * headSize;
    }

    /** Columns of all heads of k, and of v. */
    public int keys() {
        return keyValueHeads * headSize;
    }

    /** Fours of query heads that share a head of keys and values: what a block of the attention kernel takes. */
    int headTiles() {
        return (heads / keyValueHeads + RowKernels.TILE_HEADS - 1) / RowKernels.TILE_HEADS;
    }
}
