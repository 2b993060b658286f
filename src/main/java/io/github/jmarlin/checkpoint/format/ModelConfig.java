package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.container.gguf.GgufModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a model folder's configuration means: the reader of its quantized layers, and the architecture around them.
 *
 * @param quantization what it says about quantization, or null if nothing
 * @param format the reader of its quantized layers; null if it has none, or one that is not supported
 * @param refusal why the quantization is not supported, or null
 * @param architecture which of its matrices are linear layers
 */
public record ModelConfig(QuantizationConfig quantization, WeightFormat format, UnsupportedCheckpointException refusal,
        Architecture architecture) {
    private static final String ACCEPTED = "quant_method \"gptq\" (checkpoint_format \"gptq\", \"gptq_v2\", \"marlin\" or \"marlin_24\"), "
            + "\"awq\" (version \"gemm\"), \"auto-round\" (packing_format \"auto_gptq\" or \"auto_awq\"), "
            + "\"compressed-tensors\" (format \"pack-quantized\", \"int-quantized\", \"nvfp4-pack-quantized\", \"mxfp4-pack-quantized\" "
            + "or \"marlin-24\"), \"modelopt\" (quant_algo \"NVFP4\" or \"MXFP4\"), \"mxfp4\", \"marlin\", or MLX's quantization";

    /**
     * Reads the configuration files of a folder.
     *
     * @throws io.github.jmarlin.checkpoint.container.MalformedCheckpointException if a key has a wrong type, or two places disagree
     */
    public static ModelConfig read(Path folder, TensorStore tensors) throws IOException {
        return of(folder, tensors.document("config.json"), tensors);
    }

    /** What a GGUF file means: its own types say how a layer is stored. */
    public static ModelConfig of(GgufModel model) throws IOException {
        Architecture architecture = Architecture.of(model.store().document("config.json"));
        if (model.blocks().isEmpty()) {
            return new ModelConfig(null, null, null, architecture);
        }
        ConfigNode place = ConfigNode.of(model.store().folder(), "types of its tensors, architecture " + model.architecture(), Map.of());
        return new ModelConfig(QuantizationConfig.of(place, "gguf"), new GgufFormat(model.blocks()), null, architecture);
    }

    /**
     * As {@link #read}.
     *
     * @param config config.json, or null
     */
    public static ModelConfig of(Path folder, ConfigNode config, TensorStore tensors) throws IOException {
        QuantizationConfig quantization = QuantizationConfig.find(folder, config, tensors);
        Architecture architecture = Architecture.of(config);
        if (quantization == null) {
            return new ModelConfig(null, null, null, architecture);
        }
        try {
            return new ModelConfig(quantization, format(quantization, tensors), null, architecture);
        } catch (UnsupportedCheckpointException e) {
            return new ModelConfig(quantization, null, e, architecture);
        }
    }

    /** Why nothing quantized can be read where no configuration was found. */
    public String noConfiguration() {
        return "no configuration says how they are stored; looked for in " + QuantizationConfig.PLACES;
    }

    /** The reader that a configuration means. Here a new scheme gets its line. */
    public static WeightFormat format(QuantizationConfig config, TensorStore tensors) {
        if (isMlx(config, tensors)) {
            return new MlxFormat(config);
        }
        ConfigNode named = method(config, tensors);
        String method = named.string().toLowerCase(Locale.ROOT);
        return switch (method) {
            case "gptq" -> gptq(config, tensors);
            case "awq" -> new AwqFormat(config);
            case "auto-round", "intel/auto-round", "auto_round" -> autoRound(config, tensors);
            case "compressed-tensors" -> new CompressedTensorsFormat(config);
            case "marlin" -> new MarlinFormat(config);
            case "modelopt" -> new ModelOptFormat(config);
            case "mxfp4" -> config.get("config_groups").isObject() ? new CompressedTensorsFormat(config) : new Mxfp4BlocksFormat();
            default -> throw named.unsupported(ACCEPTED);
        };
    }

    /** The method; where two places name different ones, the one whose shapes the tensors have. */
    private static ConfigNode method(QuantizationConfig config, TensorStore tensors) {
        List<ConfigNode> methods = config.methods();
        if (methods.size() == 1) {
            return methods.get(0);
        }
        String decided = methodOfShapes(tensors);
        for (ConfigNode method : methods) {
            if (method.string().toLowerCase(Locale.ROOT).equals(decided)) {
                return method;
            }
        }
        throw QuantizationConfig.disagree(methods.get(0), methods.get(1), "the tensors cannot decide between them");
    }

    /** {@code qweight [k / 8][n]} is GPTQ's, {@code [k][n / 8]} AWQ's; the scales say n. */
    private static String methodOfShapes(TensorStore tensors) {
        for (Tensor codes : tensors.tensors().values()) {
            if (!codes.name().endsWith(".qweight") || codes.shape().size() != 2) {
                continue;
            }
            Tensor scales = tensors.find(codes.name().substring(0, codes.name().length() - "qweight".length()) + "scales");
            if (scales != null && scales.shape().size() == 2) {
                long n = scales.shape().get(1);
                return codes.shape().get(1) == n ? "gptq" : codes.shape().get(1) * Nibbles.PER_WORD == n ? "awq" : null;
            }
        }
        return null;
    }

    /** MLX names no method, and its {@code bits} and {@code group_size} look like GPTQ's: its tensors tell. */
    private static boolean isMlx(QuantizationConfig config, TensorStore tensors) {
        return config.all("quant_method", "method").isEmpty()
                && tensors.tensors().values().stream().anyMatch(tensor -> MlxFormat.isCodes(tensor, tensors));
    }

    private static WeightFormat gptq(QuantizationConfig config, TensorStore tensors) {
        ConfigNode format = config.get("checkpoint_format", "format");
        if (config.get("is_marlin_format").bool(false)) {
            return new MarlinFormat(config);
        }
        String name = format.string("gptq").toLowerCase(Locale.ROOT);
        if (name.equals("marlin")) {
            return new MarlinFormat(config);
        }
        return switch (name) {
            case "gptq" -> new GptqFormat(config, GptqFormat.Version.V1);
            case "gptq_v2" -> new GptqFormat(config, GptqFormat.Version.V2);
            case "marlin_24" -> Marlin24Format.ofGptq(config);
            default -> throw format.unsupported(ACCEPTED);
        };
    }

    /** AutoRound packs as other tools do, and says as which; as itself it leaves the zero points' convention open. */
    private static WeightFormat autoRound(QuantizationConfig config, TensorStore tensors) {
        ConfigNode packing = config.get("packing_format", "backend");
        String name = packing.string("auto_gptq").toLowerCase(Locale.ROOT).replaceFirst("^auto[_-]round:?", "");
        return switch (name) {
            case "auto_gptq", "gptq_zp+-1" -> new GptqFormat(config, GptqFormat.Version.V1);
            case "", "gptq", "exllamav2", "tritonv2", "triton" -> new GptqFormat(config, GptqFormat.Version.UNKNOWN);
            case "auto_awq", "awq" -> new AwqFormat(config);
            default -> throw packing.unsupported(ACCEPTED);
        };
    }
}
