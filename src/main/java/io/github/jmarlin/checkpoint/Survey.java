package io.github.jmarlin.checkpoint;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.container.UnsupportedCheckpointException;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.format.UnclaimedTensors;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a checkpoint's linear layers are, one by one.
 *
 * @param layers those that can run, full precision included
 * @param refused those that cannot, each with the reason: an {@link UnsupportedCheckpointException} for what is whole, anything
 *     else for what is broken
 * @param unclaimed what looks quantized and belongs to no layer
 */
public record Survey(Map<String, LayerSource> layers, Map<String, JMarlinException> refused, List<UnclaimedTensors> unclaimed) {
    Survey() {
        this(new LinkedHashMap<>(), new LinkedHashMap<>(), new ArrayList<>());
    }

    /** Why there is nothing to pack or verify among these layers, where those in full precision do not count. */
    public String whyNothing(Checkpoint checkpoint) {
        if (checkpoint.refusal() != null) {
            return checkpoint.refusal().getMessage();
        }
        if (!refused.isEmpty()) {
            return refused.size() + " cannot run, the first one: " + refused.values().iterator().next().getMessage();
        }
        if (!unclaimed.isEmpty()) {
            UnclaimedTensors first = unclaimed.get(0);
            return unclaimed.size() + " modules look quantized and belong to no layer, the first one " + first.module() + " ("
                    + first.parts() + "): " + first.why();
        }
        return layers.size() + " layers in full precision were found, which are taken only if asked for (--quantize)";
    }
}
