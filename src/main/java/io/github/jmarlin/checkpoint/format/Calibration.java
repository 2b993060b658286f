package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorFile;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.quantize.Hessian;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/** What activations say about layers, for GPTQ: recorded in files, or added up while a model ran. Thread-safe. */
public abstract sealed class Calibration {
    /**
     * Recorded activations: the safetensors files of a folder, found as those of a model are, with a tensor {@code <layer>.input}
     * for each layer, {@code [..., k]} in F16, BF16 or F32.
     */
    public static Calibration open(Path folder) throws IOException {
        return new Recorded(TensorStore.open(folder));
    }

    /** Hessians by layer; none may change any more. */
    public static Calibration of(Map<String, Hessian> hessians) {
        return new Summed(new TreeMap<>(hessians));
    }

    /** What tells one calibration from another, as text. */
    abstract String describe();

    /** Whether it knows the layer. */
    public abstract boolean has(String layer);

    /**
     * The layer's Hessian; reads all of its activations where they are recorded.
     *
     * @throws MalformedCheckpointException if there are none, if their last dimension is not k, or if one is not finite
     * @throws IllegalArgumentException if the Hessian given has another k
     */
    public abstract Hessian hessian(String layer, int k);

    /** The diagonal of that Hessian alone, which takes a k-th of the work. */
    abstract double[] diagonal(String layer, int k);

    private static final class Summed extends Calibration {
        private final Map<String, Hessian> hessians;

        Summed(Map<String, Hessian> hessians) {
            this.hessians = hessians;
        }

        @Override
        String describe() {
            StringBuilder text = new StringBuilder();
            hessians.forEach((layer, hessian) -> text.append(layer).append(' ').append(hessian.samples()).append(' ')
                    .append(Arrays.hashCode(hessian.diagonal())).append(' '));
            return text.toString();
        }

        @Override
        public boolean has(String layer) {
            return hessians.containsKey(layer);
        }

        @Override
        public Hessian hessian(String layer, int k) {
            Hessian hessian = hessians.get(layer);
            if (hessian == null || hessian.k() != k) {
                throw new IllegalArgumentException("layer " + layer + " with k " + k + ": the calibration has "
                        + (hessian == null ? "none of this name" : "k " + hessian.k()));
            }
            return hessian;
        }

        @Override
        double[] diagonal(String layer, int k) {
            return hessian(layer, k).diagonal();
        }
    }

    private static final class Recorded extends Calibration {
        private static final String SUFFIX = ".input";
        /** Elements read at a time. */
        private static final int PIECE = 1 << 20;

        private final TensorStore store;

        Recorded(TensorStore store) {
            this.store = store;
        }

        /** The files' names, sizes and tensors. */
        @Override
        String describe() {
            StringBuilder text = new StringBuilder();
            for (TensorFile file : store.files()) {
                text.append(file.path().getFileName()).append(' ').append(file.size()).append(' ').append(file.tensors().values());
            }
            return text.toString();
        }

        @Override
        public boolean has(String layer) {
            return store.find(layer + SUFFIX) != null;
        }

        @Override
        public Hessian hessian(String layer, int k) {
            Tensor tensor = activations(layer, k);
            Hessian hessian = new Hessian(k);
            forEachPiece(tensor, k, hessian::add);
            return hessian;
        }

        @Override
        double[] diagonal(String layer, int k) {
            Tensor tensor = activations(layer, k);
            double[] sums = new double[k];
            forEachPiece(tensor, k, (activations, rows) -> {
                for (int i = 0; i < activations.length; i++) {
                    sums[i % k] += (double) activations[i] * activations[i];
                }
            });
            long samples = tensor.bytes() / (tensor.type().bits() / Byte.SIZE) / k;
            for (int i = 0; i < k; i++) {
                sums[i] *= 2.0 / samples;
            }
            return sums;
        }

        private Tensor activations(String layer, int k) {
            Tensor tensor = store.require(layer + SUFFIX);
            Shapes.requireType(tensor, TensorType.F16, TensorType.BF16, TensorType.F32);
            int rank = tensor.shape().size();
            if (rank < 2 || tensor.shape().get(rank - 1) != k || tensor.bytes() == 0) {
                throw tensor.malformed("shape " + tensor.shape(), "must be [..., " + k
                        + "], the layer's in-features last, and not empty");
            }
            return tensor;
        }

        private interface Rows {
            void accept(float[] activations, int rows);
        }

        private static void forEachPiece(Tensor tensor, int k, Rows rows) {
            long all = tensor.bytes() / (tensor.type().bits() / Byte.SIZE) / k;
            int step = Math.max(1, PIECE / k);
            for (long row = 0; row < all; row += step) {
                int count = (int) Math.min(step, all - row);
                rows.accept(Floats.read(tensor, row * k, (row + count) * k), count);
            }
        }
    }
}
