package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;

/** Fused experts: the weights of all of them in one tensor, which is carried over as it is. */
final class Stacks {
    private Stacks() {
    }

    /** The exception for a tensor whose first dimension counts experts. */
    static UnsupportedCheckpointException refuse(Tensor codes) {
        return new UnsupportedCheckpointException(codes.file(), "tensor " + codes.name(),
                "fused experts: a stack of " + codes.shape().get(0) + " matrices, shape " + codes.shape(), "a matrix for each layer");
    }
}
