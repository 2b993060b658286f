package io.github.jmarlin.checkpoint.packed;

import com.fasterxml.jackson.core.JsonGenerator;
import io.github.jmarlin.DataType;
import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.layout.WeightForm;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What a packed model says about one layer besides its bytes; kept as JSON in the metadata of the file that holds them.
 *
 * @param name the layer's name in the source
 * @param layout shape and what a weight is
 * @param computeType what it was packed for
 * @param bias whether there is a bias
 * @param actOrder whether there is an input order
 * @param scheme how the source stored it
 * @param sourceTensors the source's tensors that became this layer
 * @param sourceChecksum CRC-32C of those tensors' bytes, one behind the other, in hexadecimal; of earlier files SHA-256
 */
public record PackedLayer(String name, StripedLayout layout, DataType computeType, boolean bias, boolean actOrder, String scheme,
        List<String> sourceTensors, String sourceChecksum) {
    /** Copies the list. */
    public PackedLayer {
        sourceTensors = List.copyOf(sourceTensors);
    }

    static PackedLayer of(LayerSource source, DataType computeType) {
        return new PackedLayer(source.name(), new StripedLayout(source.k(), source.n(), source.form()), computeType,
                source.hasBias(), source.isActOrdered(), source.scheme(),
                source.tensors().stream().map(Tensor::name).toList(), SourceChecksum.UNKNOWN);
    }

    PackedLayer withSourceChecksum(String checksum) {
        return new PackedLayer(name, layout, computeType, bias, actOrder, scheme, sourceTensors, checksum);
    }

    /** What a weight is. */
    public WeightForm form() {
        return layout.form();
    }

    /** The parts of a layer, as tensors {@code <layer>.striped.<part>}. */
    enum Part {
        CODES, SCALES, ZEROS, FACTORS, BIAS, INPUT_ORDER;

        String tensor(String layer) {
            return layer + ".striped." + PackedLayer.name(this);
        }
    }

    boolean has(Part part) {
        return switch (part) {
            case ZEROS -> form().storesOffsets();
            case BIAS -> bias;
            case INPUT_ORDER -> actOrder;
            default -> true;
        };
    }

    String tensor(Part part) {
        return part.tensor(name);
    }

    TensorType type(Part part) {
        return switch (part) {
            case CODES, INPUT_ORDER -> TensorType.I32;
            case SCALES -> computeType == DataType.BF16 ? TensorType.BF16 : TensorType.F16;
            case ZEROS -> form().hasFloatZeros() ? type(Part.SCALES) : TensorType.U16;
            case FACTORS, BIAS -> TensorType.F32;
        };
    }

    List<Long> shape(Part part) {
        long strips = layout.strips();
        return switch (part) {
            case CODES -> codesShape();
            case SCALES, ZEROS -> List.of(strips, (long) layout.scaleRows(), (long) StripedLayout.BLOCK);
            case FACTORS, BIAS -> List.of((long) layout.paddedN());
            case INPUT_ORDER -> List.of((long) layout.k());
        };
    }

    /** By lane and word; of sparse weights, whose blocks hold other bytes too, words. */
    private List<Long> codesShape() {
        List<Long> shape = new ArrayList<>(List.of((long) layout.strips(), (long) layout.kBlocks()));
        if (form().isSparse()) {
            shape.add(form().blockBytes() / 4L);
            return shape;
        }
        shape.add((long) StripedLayout.SUB_BLOCKS);
        int pieces = layout.subBlockBytes() / StripedLayout.PIECE_BYTES;
        if (pieces > 1) {
            shape.add((long) pieces);
        }
        shape.addAll(List.of(32L, 4L));
        return shape;
    }

    String toJson() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = Json.generator(out)) {
            json.writeStartObject();
            json.writeNumberField("k", layout.k());
            json.writeNumberField("n", layout.n());
            json.writeNumberField("group_size", layout.groupSize());
            json.writeStringField("compute_type", computeType.name());
            json.writeStringField("code", name(form().code()));
            json.writeStringField("offset", name(form().offset()));
            json.writeStringField("scale_source", name(form().scaleSource()));
            json.writeStringField("sparsity", name(form().sparsity()));
            json.writeStringField("columns", name(form().columns()));
            json.writeBooleanField("bias", bias);
            json.writeBooleanField("act_order", actOrder);
            json.writeStringField("scheme", scheme);
            json.writeArrayFieldStart("source_tensors");
            for (String tensor : sourceTensors) {
                json.writeString(tensor);
            }
            json.writeEndArray();
            json.writeStringField("source_crc32c", sourceChecksum);
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    /** @param version the layout version of the file */
    static PackedLayer fromJson(Path file, int version, String name, String text) {
        ConfigNode json = Json.parse(file, "metadata of layer " + name, text.getBytes(StandardCharsets.UTF_8));
        StripedLayout layout;
        try {
            int groupSize = Math.toIntExact(json.get("group_size").number());
            WeightForm form = version == 1 ? WeightForm.int4(groupSize, json.get("zero_points").bool(false)) : form(json, groupSize);
            layout = new StripedLayout(Math.toIntExact(json.get("k").number()), Math.toIntExact(json.get("n").number()), form);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new MalformedCheckpointException(file, "metadata of layer " + name, text, e.getMessage(), e);
        }
        String type = json.get("compute_type").string();
        if (!type.equals(DataType.FP16.name()) && !type.equals(DataType.BF16.name())) {
            throw json.get("compute_type").unsupported("FP16 or BF16");
        }
        String sha256 = json.get("source_sha256").string(SourceChecksum.UNKNOWN);
        return new PackedLayer(name, layout, DataType.valueOf(type),
                json.get("bias").bool(false), json.get("act_order").bool(false), json.get("scheme").string("unknown"),
                json.get("source_tensors").strings(), json.get("source_crc32c").string(sha256));
    }

    private static WeightForm form(ConfigNode json, int groupSize) {
        return new WeightForm(constant(json.get("code"), WeightForm.Code.values()),
                constant(json.get("offset"), WeightForm.Offset.values()),
                constant(json.get("scale_source"), WeightForm.ScaleSource.values()), groupSize,
                constant(json.get("sparsity"), WeightForm.Sparsity.values()),
                constant(json.get("columns"), WeightForm.Columns.values()));
    }

    /** A later version may write names that this one does not know: it must not take such weights for others. */
    private static <E extends Enum<E>> E constant(ConfigNode node, E[] known) {
        String text = node.string();
        return Arrays.stream(known).filter(value -> name(value).equals(text)).findFirst().orElseThrow(() -> node.unsupported(
                Arrays.stream(known).map(PackedLayer::name).collect(Collectors.joining(" or ")) + " in this release"));
    }

    private static String name(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
