package io.github.jmarlin.checkpoint.container;

import java.util.Arrays;
import java.util.List;

/** Checks of the shapes and types of tensors against what a format asks for. */
public final class Shapes {
    /** The largest k or n, from {@link io.github.jmarlin.layout.StripedLayout}. */
    public static final long LARGEST_EXTENT = Integer.MAX_VALUE / 64 * 64;

    private Shapes() {
    }

    public static void require(Tensor tensor, long... shape) {
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        if (!tensor.shape().equals(expected)) {
            throw tensor.malformed("shape " + tensor.shape(), "the layer's other tensors ask for " + expected);
        }
    }

    public static void requireRank(Tensor tensor, int rank) {
        if (tensor.shape().size() != rank) {
            throw tensor.malformed("shape " + tensor.shape(), "must have " + rank + " dimension(s)");
        }
    }

    public static void requireType(Tensor tensor, TensorType... types) {
        if (!Arrays.asList(types).contains(tensor.type())) {
            throw new UnsupportedCheckpointException(tensor.file(), "tensor " + tensor.name(), "dtype " + tensor.type(),
                    "one of " + Arrays.toString(types));
        }
    }

    /** {@code extent} as k or n of a layer. */
    public static int extent(Tensor tensor, String name, long extent) {
        if (extent < 1 || extent > LARGEST_EXTENT) {
            throw tensor.malformed(name + " " + extent + " from shape " + tensor.shape(), "must be in 1.." + LARGEST_EXTENT);
        }
        return (int) extent;
    }
}
