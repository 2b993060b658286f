package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorStore;
import io.github.jmarlin.checkpoint.container.TensorType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Tensors of one module that look quantized, by the last part of their names or by their type, and that no layer took: nobody
 * reads them, so nobody may be silent about them.
 *
 * @param module what their names have in common
 * @param tensors the tensors
 * @param why what is known about the reason
 */
public record UnclaimedTensors(String module, List<Tensor> tensors, String why) {
    private static final Set<String> PARTS = Set.of("qweight", "qzeros", "g_idx", "weight_packed", "weight_scale", "weight_scale_inv",
            "weight_scale_2", "weight_global_scale", "weight_zero_point", "weight_g_idx", "weight_shape", "biases", "absmax",
            "quant_map", "nested_absmax", "nested_quant_map", "SCB", "W_q");
    private static final Set<TensorType> INTEGERS = Set.of(TensorType.U8, TensorType.I8, TensorType.U32, TensorType.I32);

    /** Copies the list. */
    public UnclaimedTensors {
        tensors = List.copyOf(tensors);
    }

    /** Whether a tensor holds, or belongs to, quantized weights. */
    public static boolean looksQuantized(Tensor tensor) {
        String part = part(tensor);
        if (PARTS.contains(part) || part.contains("quant_state") || tensor.type().name().startsWith("F8")
                || tensor.type().bits() < Byte.SIZE) {
            return true;
        }
        boolean matrix = tensor.shape().size() >= 2;
        if (part.equals("scales") || part.equals("blocks") || part.endsWith("_blocks") || part.endsWith("_scales")) {
            return matrix;
        }
        return INTEGERS.contains(tensor.type())
                && (part.contains("weight") || matrix && (part.equals("B") || part.contains("proj") || part.contains("expert")));
    }

    /**
     * All that look quantized and are not in {@code taken}, module by module.
     *
     * @param reason why a format could not be found at all, or null
     */
    public static List<UnclaimedTensors> of(TensorStore store, Set<String> taken, String reason) {
        Map<String, List<Tensor>> modules = new LinkedHashMap<>();
        for (Tensor tensor : store.tensors().values()) {
            if (!taken.contains(tensor.name()) && looksQuantized(tensor)) {
                modules.computeIfAbsent(module(tensor), key -> new ArrayList<>()).add(tensor);
            }
        }
        List<UnclaimedTensors> found = new ArrayList<>();
        modules.forEach((module, tensors) -> found.add(new UnclaimedTensors(module, tensors, why(store, module, tensors, reason))));
        return found;
    }

    private static String why(TensorStore store, String module, List<Tensor> tensors, String reason) {
        boolean scales = tensors.stream().anyMatch(tensor -> part(tensor).equals("scales") || part(tensor).equals("qzeros"));
        for (Tensor tensor : tensors) {
            if (tensor.type().name().startsWith("F8") && !part(tensor).equals("weight_scale")) {
                return "8-bit floats are not read";
            }
        }
        boolean weights = tensors.stream().anyMatch(tensor -> part(tensor).equals("weight"));
        if (scales && !weights && store.find(module + ".qweight") == null) {
            return module + ".qweight is missing";
        }
        return reason != null ? reason : "no reader takes them";
    }

    private static String part(Tensor tensor) {
        return tensor.name().substring(tensor.name().lastIndexOf('.') + 1);
    }

    private static String module(Tensor tensor) {
        int dot = tensor.name().lastIndexOf('.');
        return dot < 0 ? tensor.name() : tensor.name().substring(0, dot);
    }

    /** {@code qzeros I32 [2, 48], scales F16 [2, 384]}. */
    public String parts() {
        List<String> texts = new ArrayList<>();
        tensors.forEach(tensor -> texts.add(part(tensor) + " " + tensor.type() + " " + tensor.shape()));
        return String.join(", ", texts);
    }

    /** Bytes of the tensors. */
    public long bytes() {
        return tensors.stream().mapToLong(Tensor::bytes).sum();
    }
}
