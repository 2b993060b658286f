package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import io.github.jmarlin.checkpoint.container.Json;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Finds out from a model folder's configuration files how its layers are stored. */
public final class ModelConfig {
    private static final String ACCEPTED = "quant_method \"gptq\" (checkpoint_format \"gptq\", \"gptq_v2\" or \"marlin\"), "
            + "\"awq\" (version \"gemm\"), \"compressed-tensors\" (format \"pack-quantized\") or \"marlin\"";

    private ModelConfig() {
    }

    /**
     * The format of the model's quantized layers, or null if it has none.
     *
     * @throws UnsupportedCheckpointException if the configuration names another one
     */
    public static WeightFormat read(Path folder) throws IOException {
        Path config = folder.resolve("config.json");
        if (Files.exists(config)) {
            ConfigNode quantization = Json.read(config).get("quantization_config");
            if (!quantization.isNull()) {
                return format(quantization, "gptq");
            }
        }
        Path gptq = folder.resolve("quantize_config.json");
        if (Files.exists(gptq)) {
            return format(Json.read(gptq), "gptq");
        }
        Path awq = folder.resolve("quant_config.json");
        return Files.exists(awq) ? format(Json.read(awq), "awq") : null;
    }

    /** @param unnamed the method if the configuration names none */
    public static WeightFormat format(ConfigNode config, String unnamed) {
        return switch (config.firstOf("quant_method", "method").string(unnamed)) {
            case "gptq" -> gptq(config);
            case "awq" -> new AwqFormat(config);
            case "compressed-tensors" -> new CompressedTensorsFormat(config);
            case "marlin" -> new MarlinFormat(config);
            default -> throw config.firstOf("quant_method", "method").unsupported(ACCEPTED);
        };
    }

    private static WeightFormat gptq(ConfigNode config) {
        ConfigNode format = config.firstOf("checkpoint_format", "format");
        if (config.get("is_marlin_format").bool(false)) {
            return new MarlinFormat(config);
        }
        String name = format.string("gptq");
        if (name.equals("marlin")) {
            return new MarlinFormat(config);
        }
        if (!List.of("gptq", "gptq_v2").contains(name)) {
            throw format.unsupported(ACCEPTED);
        }
        return new GptqFormat(config, name);
    }
}
