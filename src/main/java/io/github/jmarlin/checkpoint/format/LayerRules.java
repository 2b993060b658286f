package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.ConfigNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Settings of single layers: GPTQModel's {@code dynamic} (regular expressions; {@code -:} skips a layer) and AutoRound's
 * {@code extra_config} (names, or regular expressions).
 */
final class LayerRules {
    private final List<Rule> rules = new ArrayList<>();

    /**
     * One entry.
     *
     * @param where the settings of the layers that it names
     * @param skip whether these layers are not quantized
     */
    record Rule(ConfigNode where, String name, BoundedRegex layers, boolean skip) {
        boolean matches(String layer) {
            return layer.equals(name) || layers != null && layers.matches(layer);
        }
    }

    static LayerRules of(QuantizationConfig config) {
        LayerRules rules = new LayerRules();
        ConfigNode dynamic = config.agreed("dynamic");
        if (dynamic.isObject() || dynamic.bool(false)) {
            for (Map.Entry<String, ConfigNode> entry : dynamic.entries().entrySet()) {
                String pattern = entry.getKey();
                boolean skip = pattern.startsWith("-:");
                String regex = skip || pattern.startsWith("+:") ? pattern.substring(2) : pattern;
                rules.rules.add(new Rule(entry.getValue(), null, new BoundedRegex(entry.getValue(), regex), skip));
            }
        }
        ConfigNode extra = config.agreed("extra_config");
        if (extra.isObject()) {
            for (Map.Entry<String, ConfigNode> entry : extra.entries().entrySet()) {
                boolean plain = entry.getKey().matches("[\\w.]+");
                rules.rules.add(new Rule(entry.getValue(), entry.getKey(),
                        plain ? null : new BoundedRegex(entry.getValue(), entry.getKey()), false));
            }
        }
        return rules;
    }

    /** The first rule for the layer, or null. */
    Rule of(String layer) {
        return rules.stream().filter(rule -> rule.matches(layer)).findFirst().orElse(null);
    }
}
