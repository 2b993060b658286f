package io.github.jmarlin.llama;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.util.List;

/** The quantized layers of a packed model, in its files' maps. */
final class PackedLayers implements ModelReader.Layers {
    private final PackedModel model;

    PackedLayers(PackedModel model) {
        this.model = model;
    }

    @Override
    public ModelReader.Source find(String name) {
        return model.layers().containsKey(name) ? new Layer(model.weights(name)) : null;
    }

    private record Layer(PackedWeights weights) implements ModelReader.Source {
        @Override
        public int k() {
            return weights.k();
        }

        @Override
        public int n() {
            return weights.n();
        }

        @Override
        public boolean hasBias() {
            return weights.hasBias();
        }

        @Override
        public PackedWeights packed(List<AutoCloseable> owned) {
            return weights;
        }

        @Override
        public QuantizedMatrix read() {
            return weights.unpack();
        }
    }
}
