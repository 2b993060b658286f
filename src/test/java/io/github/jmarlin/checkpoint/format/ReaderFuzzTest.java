package io.github.jmarlin.checkpoint.format;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Fuzzing;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.MappedFile;
import io.github.jmarlin.checkpoint.container.SafetensorsFile;
import io.github.jmarlin.checkpoint.container.SafetensorsHeader;
import io.github.jmarlin.checkpoint.container.SafetensorsWriter;
import io.github.jmarlin.checkpoint.container.TensorInfo;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;

/** A layer of any format: tensors of likely names, types and shapes, filled with anything. */
@Tag("fuzz")
final class ReaderFuzzTest {
    private static final long FREE_BYTES = 1 << 16;

    private static final String[] CONFIGS = {
        "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":%d}",
        "{\"quant_method\":\"gptq\",\"group_size\":%d,\"checkpoint_format\":\"gptq_v2\",\"sym\":false}",
        "{\"quant_method\":\"gptq\",\"group_size\":%d,\"sym\":false,\"meta\":{\"quantizer\":[\"gptqmodel:2.0.0\"]}}",
        "{\"quant_method\":\"awq\",\"group_size\":%d}",
        "{\"quant_method\":\"marlin\",\"group_size\":%d}",
        "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],"
                + "\"weights\":{\"num_bits\":4,\"group_size\":%d,\"symmetric\":true}}}}",
        "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],"
                + "\"weights\":{\"num_bits\":4,\"group_size\":%d,\"symmetric\":false}}}}",
        "{\"quant_method\":\"gptq\",\"group_size\":%d,\"checkpoint_format\":\"marlin_24\"}",
        "{\"quant_method\":\"compressed-tensors\",\"format\":\"marlin-24\",\"config_groups\":{\"g\":{\"targets\":[\"Linear\"],"
                + "\"weights\":{\"num_bits\":4,\"group_size\":%d}}}}",
        "{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":%d,\"checkpoint_format\":\"gptq_v2\",\"sym\":false}",
        compressed("pack-quantized", "\"num_bits\":8,\"symmetric\":false"), compressed("int-quantized", "\"num_bits\":8"),
        compressed("int-quantized", "\"num_bits\":8,\"symmetric\":false"),
        compressed("nvfp4-pack-quantized", "\"num_bits\":4,\"type\":\"float\""),
        compressed("mxfp4-pack-quantized", "\"num_bits\":4,\"type\":\"float\""),
        "{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\",\"group_size\":%d}",
        "{\"quant_method\":\"mxfp4\",\"group_size\":%d}",
        "{\"bits\":4,\"group_size\":%d}", "{\"bits\":8,\"group_size\":%d}", "{\"bits\":4,\"mode\":\"mxfp4\",\"group_size\":%d}",
    };
    private static final String[] NAMES = {"qweight", "qzeros", "scales", "g_idx", "bias", "B", "s", "weight_packed",
            "weight_scale",
        "weight_zero_point", "weight_shape", "weight_g_idx", "weight", "B_24", "B_meta", "meta", "scale_packed", "biases", "blocks",
        "weight_global_scale", "weight_scale_2"};

    private static String compressed(String format, String weights) {
        return "{\"quant_method\":\"compressed-tensors\",\"format\":\"" + format + "\",\"config_groups\":{\"g\":{"
                + "\"targets\":[\"Linear\"],\"weights\":{" + weights + ",\"group_size\":%d}}}}";
    }

    @FuzzTest(maxDuration = Fuzzing.TIME)
    void readers(FuzzedDataProvider data) {
        int groupSize = data.pickValue(new int[] {-1, 32, 64, 96, 128, 512, 0, 7});
        String config = String.format(data.pickValue(CONFIGS), groupSize);
        SafetensorsWriter.Layout layout = new SafetensorsWriter.Layout();
        int units = data.consumeInt(1, 8);
        int columns = 8 * data.consumeInt(1, 16);
        List<String> used = new ArrayList<>();
        for (int count = data.consumeInt(1, 6); count > 0; count--) {
            String name = data.pickValue(NAMES);
            if (!used.contains(name)) {
                used.add(name);
                boolean bytes = !config.contains("gptq") && !config.contains("awq") && data.consumeBoolean();
                TensorType type = type(name, bytes, data);
                List<Long> shape = shape(name, bytes, units, columns, groupSize, data);
                if (TensorInfo.bytes(type, shape) >= 0) {    // a file cannot hold half a byte
                    layout.add("a." + name, type, shape);
                }
            }
        }
        byte[] header;
        try {
            header = SafetensorsHeader.render(layout.tensors(), Map.of());
        } catch (java.io.IOException e) {
            throw new IllegalStateException(e);
        }
        byte[] file = java.util.Arrays.copyOf(header, Math.toIntExact(header.length + layout.bytes()));
        byte[] content = data.consumeRemainingAsBytes();
        for (int i = 0; i < layout.bytes() && content.length > 0; i++) {
            file[header.length + i] = content[i % content.length];
        }
        read(file, config);
    }

    /** @param bytes whether the layer is of codes along k, and of 4-bit floats or 8-bit integers */
    private static TensorType type(String name, boolean bytes, FuzzedDataProvider data) {
        if (data.consumeInt(0, 31) == 0) {
            return data.pickValue(TensorType.values());
        }
        if (bytes && List.of("weight", "weight_packed", "blocks").contains(name)) {
            return data.pickValue(new TensorType[] {TensorType.U32, TensorType.U8, TensorType.I8});
        }
        if (bytes && List.of("scales", "weight_scale", "weight_zero_point").contains(name)) {
            return data.pickValue(new TensorType[] {TensorType.U8, TensorType.F8_E4M3, TensorType.F8_E8M0, TensorType.BF16, TensorType.I8});
        }
        if (List.of("biases", "weight_global_scale", "weight_scale_2").contains(name)) {
            return data.pickValue(new TensorType[] {TensorType.F32, TensorType.BF16});
        }
        boolean floats = List.of("scales", "s", "bias", "weight_scale", "weight", "scale_packed").contains(name);
        if (name.endsWith("meta")) {
            return TensorType.I16;
        }
        return floats ? data.pickValue(new TensorType[] {TensorType.F16, TensorType.BF16, TensorType.F32})
                : name.equals("weight_shape") ? TensorType.I64 : TensorType.I32;
    }

    /** Mostly what a layer with k = 8 * units (Marlin: 16, sparse 32, 128 * columns / 8) needs, sometimes anything. */
    private static List<Long> shape(String name, boolean bytes, int units, int columns, int groupSize, FuzzedDataProvider data) {
        if (data.consumeInt(0, 15) == 0) {
            return List.of((long) data.consumeInt(0, 40), (long) data.consumeInt(0, 40) * 8);
        }
        long k = 8L * units;
        long groups = groupSize < 1 ? 1 : (k - 1) / groupSize + 1;
        if (bytes && List.of("weight", "weight_packed").contains(name)) {
            return List.of((long) columns, k / data.pickValue(new int[] {1, 2, 4, 8}));
        }
        if (bytes && List.of("scales", "weight_scale", "weight_zero_point").contains(name)) {
            return List.of((long) columns, data.pickValue(new long[] {groups, k / 16, k / 32}));
        }
        return switch (name) {
            case "biases" -> List.of((long) columns, groups);
            case "blocks" -> List.of((long) columns, k / 32, 16L);
            case "weight_global_scale", "weight_scale_2" -> List.of(1L);
            case "qweight", "B", "B_24", "B_meta", "meta" -> List.of((long) units, (long) columns);
            case "qzeros" -> List.of(groups, columns / 8L);
            case "scales" -> List.of(groups, (long) columns);
            case "s", "scale_packed" -> List.of(groups, columns / 2L);
            case "g_idx", "weight_g_idx" -> List.of(k);
            case "bias" -> List.of((long) columns);
            case "weight_packed" -> List.of((long) columns, (long) units);
            case "weight_scale" -> List.of((long) columns, groups);
            case "weight_zero_point" -> List.of((columns + 7) / 8L, groups);
            case "weight_shape" -> List.of(2L);
            default -> List.of((long) columns, k);
        };
    }

    private static void read(byte[] file, String config) {
        Fuzzing.documented(() -> {
            SafetensorsFile opened = SafetensorsFile.of(MappedFile.of(Fuzzing.FILE, Fuzzing.little(file)));
            TensorStore tensors = TensorStore.union(Fuzzing.FILE, List.of(opened));
            QuantizationConfig quantization = QuantizationConfig.of(Json.parseLenient(Fuzzing.FILE, "content",
                    config.getBytes(StandardCharsets.UTF_8)), "gptq");
            Checkpoint checkpoint = new Checkpoint(tensors, new ModelConfig(quantization,
                    ModelConfig.format(quantization, tensors), null, Architecture.of(null)), DenseQuantization.DEFAULT);
            for (String name : checkpoint.layerNames()) {
                Fuzzing.documented(() -> {
                    LayerSource layer = checkpoint.layer(name);
                    try (QuantizedMatrix matrix = layer.read()) {
                        long bytes = matrix.codes().size() + matrix.scales().size()
                                + (matrix.hasZeroPoints() ? matrix.zeroPoints().size() : 0);
                        assertTrue(bytes <= 2L * file.length + FREE_BYTES, bytes + " bytes from a file of " + file.length);
                        pack(matrix);
                    }
                });
            }
        });
    }

    /** Scales of a file may be of a size that no layer has; packing says so in its own words. */
    private static void pack(QuantizedMatrix matrix) {
        try {
            PackedWeights.pack(matrix, matrix.computeType()).close();
        } catch (IllegalArgumentException e) {
            assertTrue(e.getMessage().contains("cannot be packed"), e.getMessage());
        }
    }
}
