package io.github.jmarlin.llama;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.StripedLayout;
import io.github.jmarlin.memory.NativeMemory;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Packed weights beside each other: one product with the outputs of all, for layers that read the same activations. A strip of 64
 * columns depends on no other, so that the bytes of the parts follow one another unchanged, and every output keeps its bits.
 */
final class JoinedWeights {
    private JoinedWeights() {
    }

    /** Whether the parts are whole strips (the last one may not be), of one k, form and type, and take the activations in one order. */
    static boolean fit(List<PackedWeights> parts) {
        PackedWeights first = parts.get(0);
        long n = 0;
        for (PackedWeights part : parts) {
            if (n % StripedLayout.BLOCK != 0 || part.k() != first.k() || part.computeType() != first.computeType()
                    || !part.form().equals(first.form()) || !Objects.equals(part.inputOrder(), first.inputOrder())) {
                return false;
            }
            n += part.n();
        }
        return n <= Integer.MAX_VALUE - StripedLayout.BLOCK;
    }

    /** A copy of parts that {@link #fit}; columns in their order. A bias that only some have is 0 for the others. */
    static PackedWeights join(List<PackedWeights> parts) {
        PackedWeights first = parts.get(0);
        StripedLayout layout = first.layout().withShape(first.k(), parts.stream().mapToInt(PackedWeights::n).sum());
        boolean bias = parts.stream().anyMatch(PackedWeights::hasBias);
        return PackedWeights.of(layout, first.computeType(),
                joined(parts, PackedWeights::codes, layout.codeBytes(), layout.stripCodeBytes()),
                joined(parts, PackedWeights::scales, layout.scaleBytes(), layout.stripScaleBytes()),
                first.form().storesOffsets() ? joined(parts, PackedWeights::zeros, layout.scaleBytes(), layout.stripScaleBytes()) : null,
                joined(parts, PackedWeights::factors, (long) layout.paddedN() * Float.BYTES, Float.BYTES),
                bias ? joined(parts, PackedWeights::bias, (long) layout.paddedN() * Float.BYTES, Float.BYTES) : null)
                .withInputOrder(first.inputOrder());
    }

    /** The parts' regions one behind the other; zeros for a part that has none, which only a bias can lack. */
    private static NativeMemory joined(List<PackedWeights> parts, Function<PackedWeights, NativeMemory> region, long bytes, long granule) {
        NativeMemory whole = NativeMemory.allocate(bytes, granule);
        long at = 0;
        for (PackedWeights weights : parts) {
            NativeMemory part = region.apply(weights);
            for (long from = 0; part != null && from < part.size(); ) {
                int piece = part.contiguous(from, part.size() - from);
                whole.copyFrom(at + from, part.slice(from, piece));
                from += piece;
            }
            at += part != null ? part.size() : weights.factors().size();
        }
        return whole;
    }
}
