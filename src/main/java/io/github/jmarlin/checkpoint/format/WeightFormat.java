package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;

/**
 * How a family of checkpoints stores its linear layers. Chosen once per model from its configuration; immutable.
 *
 * <p>A layer is recognised by one tensor, usually {@code <layer>.<marker>}.
 */
public interface WeightFormat {
    /** The format's name for people. */
    String scheme();

    /** The last part of the name of the tensor that every layer has. */
    String marker();

    /** The layer that this tensor stands for, which then has it; null for every other tensor. */
    default String layerOf(Tensor tensor, TensorStore tensors) {
        String end = "." + marker();
        return tensor.name().endsWith(end) ? tensor.name().substring(0, tensor.name().length() - end.length()) : null;
    }

    /** The layer to which a tensor of that name would belong, if there is one. */
    default String moduleOf(String tensor) {
        return tensor.substring(0, Math.max(0, tensor.lastIndexOf('.')));
    }

    /**
     * The layer of that name.
     *
     * @throws MalformedCheckpointException if a tensor is missing or contradicts another or the configuration
     * @throws UnsupportedCheckpointException if the layer is stored in a way that cannot run
     */
    LayerSource layer(TensorStore tensors, String name);
}
