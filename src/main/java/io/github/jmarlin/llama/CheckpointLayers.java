package io.github.jmarlin.llama;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.format.LayerSource;
import java.util.List;
import java.util.Set;

/** The quantized layers of a checkpoint, packed when they are read. */
final class CheckpointLayers implements ModelReader.Layers {
    private final Checkpoint checkpoint;
    private final Set<String> names;
    private final boolean quantizeDense;

    /** @param quantizeDense layers in full precision count, too */
    CheckpointLayers(Checkpoint checkpoint, boolean quantizeDense) {
        this.checkpoint = checkpoint;
        this.quantizeDense = quantizeDense;
        names = checkpoint.layerNames();
    }

    @Override
    public ModelReader.Source find(String name) {
        return names.contains(name) && (quantizeDense || !checkpoint.isDense(name)) ? new Layer(checkpoint.layer(name)) : null;
    }

    private record Layer(LayerSource source) implements ModelReader.Source {
        @Override
        public int k() {
            return source.k();
        }

        @Override
        public int n() {
            return source.n();
        }

        @Override
        public boolean hasBias() {
            return source.hasBias();
        }

        @Override
        public PackedWeights packed(List<AutoCloseable> owned) {
            PackedWeights packed = source.pack(0, source.n(), source.computeType());
            owned.add(packed);
            return packed;
        }

        @Override
        public QuantizedMatrix read() {
            return source.read();
        }
    }
}
