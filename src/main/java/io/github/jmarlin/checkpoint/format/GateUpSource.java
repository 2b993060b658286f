package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.layout.MatrixShards;
import io.github.jmarlin.layout.WeightForm;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The gate and the up projection of an MLP, {@code X.gate_proj} and {@code X.up_proj}, as one layer {@code X.gate_up_proj} with their
 * columns in turn ({@link WeightForm.Columns#GATE_UP}): what a product with silu-mul wants.
 */
public final class GateUpSource extends LayerSource {
    private static final String GATE = "gate_proj";
    private static final String UP = "up_proj";
    private static final String BOTH = "gate_up_proj";

    private final LayerSource gate;
    private final LayerSource up;

    private GateUpSource(LayerSource gate, LayerSource up) {
        super(new Facts(nameOf(gate), gate.scheme(), gate.k(), Math.multiplyExact(2, gate.n()), gate.facts().fileGroupSize(),
                (up.hasZeroPoints() ? up : gate).form().withColumns(WeightForm.Columns.GATE_UP), gate.facts().scales(), null,
                gate.facts().inputOrder(), Stream.of(gate, up).flatMap(layer -> layer.tensors().stream()).toList()));
        this.gate = gate;
        this.up = up;
    }

    private static String nameOf(LayerSource gate) {
        return gate.name().substring(0, gate.name().length() - GATE.length()) + BOTH;
    }

    /** The up projection that belongs to a layer, if that is a gate projection and there is one. */
    public static Optional<LayerSource> upOf(LayerSource layer, Map<String, LayerSource> layers) {
        String name = layer.name();
        boolean isGate = name.equals(GATE) || name.endsWith("." + GATE);
        return isGate ? Optional.ofNullable(layers.get(name.substring(0, name.length() - GATE.length()) + UP)) : Optional.empty();
    }

    /** Why the two cannot be one layer; empty if they can. */
    public static Optional<String> whyNot(LayerSource gate, LayerSource up) {
        boolean alike = gate.k() == up.k() && gate.n() == up.n() && gate.scaleType() == up.scaleType()
                && gate.computeType() == up.computeType() && withoutZeroPoints(gate.form()).equals(withoutZeroPoints(up.form()));
        if (!alike) {
            return Optional.of("k, n, group size, scale type and kind of weight must be the same but for zero points: "
                    + describe(gate) + ", " + describe(up));
        }
        return Objects.equals(gate.inputOrder(), up.inputOrder()) ? Optional.empty() : Optional.of("their input orders differ");
    }

    private static String describe(LayerSource layer) {
        return layer + ", group size " + layer.groupSize() + ", " + layer.scaleType() + ", " + layer.form();
    }

    /** One with and one without integer zero points can be joined: the latter get the middle. */
    private static WeightForm withoutZeroPoints(WeightForm form) {
        return form.hasZeroPoints() ? form.withZeroPoints(false) : form;
    }

    /** Both as one layer; {@link #whyNot} must have nothing against it. */
    public static LayerSource of(LayerSource gate, LayerSource up) {
        whyNot(gate, up).ifPresent(why -> {
            throw new IllegalArgumentException(gate.name() + " and " + up.name() + " cannot be interleaved: " + why);
        });
        return new GateUpSource(gate, up);
    }

    /** The layer that was packed as {@code name}: one of these, or of two the two as one; null if they are not there. */
    public static LayerSource packedAs(String name, WeightForm.Columns columns, Map<String, LayerSource> layers) {
        if (columns != WeightForm.Columns.GATE_UP || !name.endsWith(BOTH)) {
            return layers.get(name);
        }
        LayerSource gate = layers.get(name.substring(0, name.length() - BOTH.length()) + GATE);
        return gate == null ? null : upOf(gate, layers).filter(up -> whyNot(gate, up).isEmpty()).map(up -> of(gate, up)).orElse(null);
    }

    /** The two layers that it is made of. */
    public List<LayerSource> parts() {
        return List.of(gate, up);
    }

    @Override
    public boolean hasBias() {
        return gate.hasBias() || up.hasBias();
    }

    @Override
    public List<Tensor> tensors() {
        return facts().tensors();
    }

    @Override
    public int columnStep() {
        return 2 * COLUMN_STEP;
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        try (QuantizedMatrix gates = gate.read(from / 2, to / 2); QuantizedMatrix ups = up.read(from / 2, to / 2)) {
            MatrixShards.interleave(gates, ups, matrix);
        }
    }
}
