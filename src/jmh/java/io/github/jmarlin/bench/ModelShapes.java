package io.github.jmarlin.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The one list of shapes that benchmarks use: the linear layers of real models, and two plain matrices. */
public final class ModelShapes {
    /** The square most published tables are about. */
    public static final LayerShape SQUARE = new LayerShape("square", 8192, 8192);
    /** So large that fixed costs and tails vanish: what the kernel can do at best. */
    public static final LayerShape IDEAL = new LayerShape("ideal", 32768, 32768);

    /** All models, smallest first. */
    public static final List<Model> MODELS = List.of(
            model("Mistral 7B", 4096, new Heads(32, 8, 128), 14336),
            model("Llama-3.1 8B", 4096, new Heads(32, 8, 128), 14336),
            model("Qwen3 8B", 4096, new Heads(32, 8, 128), 12288),
            model("Qwen3 32B", 5120, new Heads(64, 8, 128), 25600),
            model("Llama-3.1 70B", 8192, new Heads(64, 8, 128), 28672),
            model("Llama-3.1 405B", 16384, new Heads(128, 8, 128), 53248));

    private ModelShapes() {
    }

    /**
     * A transformer's block as its linear layers see it, in the order in which they run.
     *
     * @param name as published
     * @param layers fused QKV, O, fused gate-up, down
     */
    public record Model(String name, List<LayerShape> layers) {
    }

    /** Attention heads: queries, keys (as many as values), and the features of one. */
    private record Heads(int queries, int keys, int size) {
    }

    private static Model model(String name, int hidden, Heads heads, int intermediate) {
        return new Model(name, List.of(
                new LayerShape("QKV", hidden, (heads.queries + 2 * heads.keys) * heads.size),
                new LayerShape("O", heads.queries * heads.size, hidden),
                new LayerShape("gate-up", hidden, 2 * intermediate),
                new LayerShape("down", intermediate, hidden)));
    }

    /** Every size once, the two plain matrices first; a layer that several models share carries the first one's name. */
    public static List<LayerShape> distinct() {
        Map<String, LayerShape> bySize = new LinkedHashMap<>();
        bySize.put(SQUARE.size(), SQUARE);
        bySize.put(IDEAL.size(), IDEAL);
        for (Model model : MODELS) {
            for (LayerShape layer : model.layers()) {
                bySize.putIfAbsent(layer.size(), new LayerShape(model.name() + " " + layer.name(), layer.k(), layer.n()));
            }
        }
        return new ArrayList<>(bySize.values());
    }

    /** The model of that name. */
    public static Model model(String name) {
        return MODELS.stream().filter(model -> model.name().equals(name)).findFirst().orElseThrow(() ->
                new IllegalArgumentException("no model \"" + name + "\"; there are "
                        + MODELS.stream().map(Model::name).toList()));
    }
}
