package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.quantize.Hessian;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Activations recorded for calibration: a folder of safetensors files with a tensor {@code <layer>.input} for each layer,
 * {@code [..., k]} in F16, BF16 or F32. Immutable and thread-safe.
 */
public final class Calibration {
    private static final String SUFFIX = ".input";
    /** Elements read at a time. */
    private static final int PIECE = 1 << 20;

    private final TensorStore store;

    private Calibration(TensorStore store) {
        this.store = store;
    }

    /** Opens the files of a folder, found as those of a model are. */
    public static Calibration open(Path folder) throws IOException {
        return new Calibration(TensorStore.open(folder));
    }

    /** The files' names, sizes and tensors. */
    String describe() {
        StringBuilder text = new StringBuilder();
        for (SafetensorsFile file : store.files()) {
            text.append(file.path().getFileName()).append(' ').append(file.size()).append(' ').append(file.tensors().values());
        }
        return text.toString();
    }

    /** Whether there are activations for the layer. */
    public boolean has(String layer) {
        return store.find(layer + SUFFIX) != null;
    }

    /**
     * The layer's Hessian; reads all of its activations.
     *
     * @throws MalformedCheckpointException if there are none, if their last dimension is not k, or if one is not finite
     */
    public Hessian hessian(String layer, int k) {
        Tensor tensor = activations(layer, k);
        Hessian hessian = new Hessian(k);
        forEachPiece(tensor, k, hessian::add);
        return hessian;
    }

    /** The diagonal of that Hessian alone, which takes a k-th of the work. */
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
