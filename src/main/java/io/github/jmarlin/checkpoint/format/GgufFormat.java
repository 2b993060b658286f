package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufBlocks;
import io.github.jmarlin.checkpoint.container.gguf.GgufType;
import io.github.jmarlin.layout.WeightForm;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * GGUF's matrices of blocks, {@code weight [n][bytes of a row of k]}: each layer of the type that the file gives it.
 * {@link GgufBlocks} says how they hold codes, scales and minima; a weight is then
 * <table>
 * <caption>Forms</caption>
 * <tr><th>types</th><th>code</th><th>groups of</th><th>offset</th></tr>
 * <tr><td>Q4_0</td><td>INT4</td><td>32</td><td>MIDDLE</td></tr>
 * <tr><td>Q4_1, Q4_K</td><td>INT4</td><td>32</td><td>FLOAT_ZERO</td></tr>
 * <tr><td>Q5_0, Q8_0; Q6_K</td><td>INT8</td><td>32; 16</td><td>MIDDLE</td></tr>
 * <tr><td>Q5_1, Q5_K</td><td>INT8</td><td>32</td><td>FLOAT_ZERO</td></tr>
 * </table>
 * Scales of the K types are products of two numbers: exact in FP32, and rounded when they are packed.
 */
final class GgufFormat implements WeightFormat {
    private static final String ACCEPTED = Arrays.stream(GgufBlocks.values()).map(Enum::name).collect(Collectors.joining(", "))
            + ", F16, BF16 or F32";
    /** Far above any row; what is read at once stays in one slice. */
    private static final long LONGEST_ROW = 1 << 26;

    private final Map<String, GgufType> types;

    /** @param types of tensors of blocks, by name */
    GgufFormat(Map<String, GgufType> types) {
        this.types = Map.copyOf(types);
    }

    @Override
    public String scheme() {
        return "GGUF";
    }

    @Override
    public String marker() {
        return "weight";
    }

    @Override
    public String layerOf(Tensor tensor, TensorStore tensors) {
        return types.containsKey(tensor.name()) ? WeightFormat.super.layerOf(tensor, tensors) : null;
    }

    @Override
    public LayerSource layer(TensorStore tensors, String name) {
        Tensor weight = tensors.require(name + "." + marker());
        GgufType type = types.get(weight.name());
        GgufBlocks blocks = GgufBlocks.of(type);
        if (blocks == null) {
            throw new UnsupportedCheckpointException(weight.file(), "tensor " + weight.name(), "type " + type, ACCEPTED);
        }
        if (weight.shape().size() == 3) {
            throw new UnsupportedCheckpointException(weight.file(), "tensor " + weight.name(), "a stack of " + weight.shape().get(0)
                    + " matrices of " + type, "a matrix: fused experts do not run");
        }
        if (weight.shape().size() != 2) {
            throw new UnsupportedCheckpointException(weight.file(), "tensor " + weight.name(), type + " in " + weight.shape().size()
                    + " dimensions", "a matrix");
        }
        int n = Shapes.extent(weight, "n", weight.shape().get(0));
        long rowBytes = weight.shape().get(1);
        if (rowBytes > LONGEST_ROW) {
            throw weight.malformed("rows of " + rowBytes + " bytes", "at most " + LONGEST_ROW);
        }
        int k = Shapes.extent(weight, "k", rowBytes / type.blockBytes() * type.blockElements());
        WeightForm form = new WeightForm(blocks.bits() == 4 ? WeightForm.Code.INT4 : WeightForm.Code.INT8,
                blocks.hasMinimum() ? WeightForm.Offset.FLOAT_ZERO : WeightForm.Offset.MIDDLE, WeightForm.ScaleSource.GROUP,
                GroupSizes.forFile(blocks.groupSize(), k), WeightForm.Sparsity.DENSE, WeightForm.Columns.NATURAL);
        Floats.ScaleTypes scales = new Floats.ScaleTypes(blocks.hasFp16Scales() ? DataType.FP16 : DataType.FP32, DataType.FP16);
        LayerSource.Facts facts = new LayerSource.Facts(name, scheme() + " " + type, k, n, blocks.groupSize(), form, scales,
                tensors.find(name + ".bias"), null, List.of(weight));
        return new GgufLayer(facts, weight, blocks);
    }
}
