package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Cuts packed weights for several devices, and joins them. A shard of the packed form equals, byte for byte, the packed form
 * of that shard of the matrix ({@link MatrixShards}), so it does not matter which is done first; but for FP32 scales and float
 * zeros cut along k, which stay rounded as they were in the whole column.
 *
 * <pre>
 *   along n (each device computes some outputs)       along k (each device sums over some inputs; outputs are added)
 *        strips                                            strips
 *      +--+--+--+--+                                     +--+--+--+--+
 *      |  |  :  |  |   a shard is a run of strips,       |  |  |  |  |   a shard is a run of blocks of every strip;
 *      |  |  :  |  |   contiguous in every region        +..+..+..+..+   copied, and the columns' shifts recomputed
 *      |  |  :  |  |                                     |  |  |  |  |
 *      +--+--+--+--+                                     +--+--+--+--+
 * </pre>
 *
 * <p>A cut along k through the middle of a group repeats its scales on both sides: the shard then has the largest supported group
 * size that divides both the old one and the place of the cut. Shards along n are whole strips, so columns that lie in pairs
 * ({@link WeightForm.Columns#GATE_UP}) stay together.
 */
public final class PackedShards {
    private PackedShards() {
    }

    /**
     * Where to cut an extent into {@code parts}, at multiples of {@code step} and as evenly as these allow: part i is
     * {@code [cuts[i], cuts[i + 1])}.
     *
     * @param step {@link StripedLayout#BLOCK}; or along k, to keep groups whole, the group size if it is larger
     * @throws IllegalArgumentException if there are fewer steps than parts
     */
    public static int[] cuts(int extent, int parts, int step) {
        int steps = (extent - 1) / step + 1;
        if (parts < 1 || steps < parts) {
            throw new IllegalArgumentException("extent " + extent + " has " + steps + " steps of " + step
                    + ": it can be cut into 1.."
                    + steps + " parts, not " + parts);
        }
        int[] cuts = new int[parts + 1];
        for (int part = 0; part <= parts; part++) {
            cuts[part] = (int) Math.min(extent, (long) steps * part / parts * step);
        }
        return cuts;
    }

    /**
     * Columns {@code [from, to)}, sharing the memory of {@code packed}, which must stay open.
     *
     * @param from a multiple of 64
     * @param to a multiple of 64, or n
     */
    public static PackedWeights columns(PackedWeights packed, int from, int to) {
        checkRange("columns", from, to, packed.n(), StripedLayout.BLOCK);
        StripedLayout all = packed.layout();
        StripedLayout layout = all.withShape(all.k(), to - from);
        long strip = from / StripedLayout.BLOCK;
        long columnBytes = (long) layout.paddedN() * Float.BYTES;
        long firstColumn = (long) from * Float.BYTES;
        return PackedWeights.of(layout, packed.computeType(),
                part(packed.codes(), strip * all.stripCodeBytes(), layout.codeBytes(), all.stripCodeBytes()),
                part(packed.scales(), strip * all.stripScaleBytes(), layout.scaleBytes(), all.stripScaleBytes()),
                part(packed.zeros(), strip * all.stripScaleBytes(), layout.scaleBytes(), all.stripScaleBytes()),
                part(packed.factors(), firstColumn, columnBytes, Float.BYTES),
                part(packed.bias(), firstColumn, columnBytes, Float.BYTES)).withInputOrder(packed.inputOrder());
    }

    /** A view of a part of a region, or a copy where it would cross the segments of a region beyond 1 GiB. */
    private static NativeMemory part(NativeMemory region, long offset, long bytes, long unit) {
        if (region == null) {
            return null;
        }
        if (bytes <= Integer.MAX_VALUE) {
            try {
                return NativeMemory.wrap(region.slice(offset, (int) bytes));
            } catch (IllegalArgumentException crossing) {
                // Copied below.
            }
        }
        NativeMemory copy = NativeMemory.allocate(bytes, unit);
        for (long at = 0; at < bytes; at += unit) {
            copy.copyFrom(at, region.slice(offset + at, (int) unit));
        }
        return copy;
    }

    /**
     * Rows {@code [from, to)}, in memory of their own. The bias goes with the rows that start at 0, so that it is added once.
     *
     * <p>If the weights have an input order, row i of the shard multiplies activation {@code inputOrder[from + i]} of the
     * whole: gather the activations first and give each device its part.
     *
     * @param from a multiple of 64, or of 128 of sparse weights
     * @param to such a multiple, or k
     */
    public static PackedWeights rows(PackedWeights packed, int from, int to) {
        StripedLayout all = packed.layout();
        checkRange("rows", from, to, packed.k(), all.form().blockRows());
        StripedLayout layout = new StripedLayout(to - from, all.n(), all.form().withGroupSize(groupSize(all, from)));
        NativeMemory codes = NativeMemory.allocate(layout.codeBytes(), layout.stripCodeBytes());
        for (int strip = 0; strip < layout.strips(); strip++) {
            ByteBuffer source = packed.codes().slice(all.blockOffset(strip, from / all.form().blockRows()),
                    (int) layout.stripCodeBytes());
            codes.copyFrom(layout.blockOffset(strip, 0), source);
        }
        NativeMemory scales = NativeMemory.allocate(layout.scaleBytes(), layout.stripScaleBytes());
        NativeMemory zeros = packed.form().storesOffsets()
                ? NativeMemory.allocate(layout.scaleBytes(), layout.stripScaleBytes()) : null;
        long columnBytes = (long) layout.paddedN() * Float.BYTES;
        NativeMemory factors = NativeMemory.allocate(columnBytes, Float.BYTES);
        NativeMemory bias = packed.hasBias() && from == 0 ? part(packed.bias(), 0, columnBytes, Float.BYTES) : null;
        for (int column = 0; column < layout.paddedN(); column++) {
            cutScales(packed, layout, from, column, scales, zeros, factors);
        }
        return PackedWeights.of(layout, packed.computeType(), codes, scales, zeros, factors, bias);
    }

    /**
     * One layer that computes the outputs of all {@code parts}, one behind the other, in memory of its own; for layers that
     * share their input, see {@link MatrixShards#join}.
     *
     * @throws IllegalArgumentException if shape along k, compute type, what a weight is, bias or input order differ, or a part
     *     other than the last is not whole strips wide
     */
    public static PackedWeights join(List<PackedWeights> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("no parts to join");
        }
        PackedWeights first = parts.get(0);
        int n = 0;
        for (PackedWeights part : parts) {
            if (n % StripedLayout.BLOCK != 0) {
                throw new IllegalArgumentException("cannot join " + part + " behind " + n + " columns: no multiple of "
                        + StripedLayout.BLOCK);
            }
            if (part.k() != first.k() || part.layout().rowsPerGroup() != first.layout().rowsPerGroup()
                    || part.computeType() != first.computeType() || !part.form().withGroupSize(first.groupSize()).equals(first.form())
                    || part.hasBias() != first.hasBias() || !Objects.equals(part.inputOrder(), first.inputOrder())) {
                throw new IllegalArgumentException("cannot join " + part + " to " + first
                        + ": k, group size, compute type, zero points, order of columns, bias and input order must be the same");
            }
            n = Math.addExact(n, part.n());
        }
        StripedLayout layout = first.layout().withShape(first.k(), n);
        return PackedWeights.of(layout, first.computeType(),
                joined(parts, PackedWeights::codes, layout.stripCodeBytes()),
                joined(parts, PackedWeights::scales, layout.stripScaleBytes()),
                joined(parts, PackedWeights::zeros, layout.stripScaleBytes()),
                joined(parts, PackedWeights::factors, Float.BYTES),
                joined(parts, PackedWeights::bias, Float.BYTES)).withInputOrder(first.inputOrder());
    }

    private static NativeMemory joined(List<PackedWeights> parts, Function<PackedWeights, NativeMemory> region, long unit) {
        if (region.apply(parts.get(0)) == null) {
            return null;
        }
        NativeMemory all = NativeMemory.allocate(parts.stream().map(region).mapToLong(NativeMemory::size).sum(), unit);
        long at = 0;
        for (PackedWeights part : parts) {
            NativeMemory source = region.apply(part);
            for (long offset = 0; offset < source.size(); offset += unit) {
                all.copyFrom(at + offset, source.slice(offset, (int) unit));
            }
            at += source.size();
        }
        return all;
    }

    /** The group size of a shard that starts at row {@code from}; see the class. */
    static int groupSize(StripedLayout all, int from) {
        if (all.isOneGroup()) {
            return all.groupSize();
        }
        int groupSize = all.groupSize();
        while (from % groupSize != 0) {
            groupSize /= 2;
        }
        return groupSize;
    }

    private static void cutScales(PackedWeights packed, StripedLayout layout, int from, int column, NativeMemory scales,
            NativeMemory zeros, NativeMemory factors) {
        DataType type = packed.computeType();
        StripedLayout all = packed.layout();
        boolean floatZeros = packed.form().hasFloatZeros();
        float largest = 0;
        float largestZero = 0;
        for (int group = 0; group < layout.groups(); group++) {
            long offset = all.scaleOffset(oldGroup(all, layout, from, group), column);
            largest = Math.max(largest, Math.abs(HalfFloats.decode(type, packed.scales().getShort(offset))));
            if (floatZeros) {
                largestZero = Math.max(largestZero, Math.abs(HalfFloats.decode(type, packed.zeros().getShort(offset))));
            } else if (zeros != null) {
                zeros.putShort(layout.scaleOffset(group, column), packed.zeros().getShort(offset));
            }
        }
        float factor = packed.factors().getFloat((long) column * Float.BYTES);
        if (largest == 0 && largestZero == 0) {
            factors.putFloat((long) column * Float.BYTES, 1);
            return;
        }
        // What ShiftedScales would shift these scales and float zeros by, in addition; without scales down to a factor of 1.
        int more = Math.min(largest == 0 ? Math.getExponent(factor) : ShiftedScales.topExponent(type) - Math.getExponent((double) largest),
                largestZero == 0 ? Integer.MAX_VALUE : ShiftedScales.topZeroExponent(type) - Math.getExponent((double) largestZero));
        float shifted = Math.scalb(factor, -more);
        if (Math.abs(shifted) < Float.MIN_NORMAL) {
            throw new IllegalArgumentException("column " + column + " cannot be cut at row " + from
                    + ": the scales left give the factor "
                    + factor + " * 2^-" + more + ", below the normal floats");
        }
        factors.putFloat((long) column * Float.BYTES, shifted);
        for (int group = 0; group < layout.groups(); group++) {
            long offset = all.scaleOffset(oldGroup(all, layout, from, group), column);
            shift(packed.scales(), offset, scales, layout.scaleOffset(group, column), type, more);
            if (floatZeros) {
                shift(packed.zeros(), offset, zeros, layout.scaleOffset(group, column), type, more);
            }
        }
    }

    private static void shift(NativeMemory from, long offset, NativeMemory to, long at, DataType type, int more) {
        to.putShort(at, HalfFloats.encode(type, Math.scalb((double) HalfFloats.decode(type, from.getShort(offset)), more)));
    }

    private static int oldGroup(StripedLayout all, StripedLayout layout, int from, int group) {
        return (int) ((from + (long) group * layout.rowsPerGroup()) / all.rowsPerGroup());
    }

    static void checkRange(String what, int from, int to, int extent, int step) {
        Objects.checkFromToIndex(from, to, extent);
        if (from == to || from % step != 0 || to % step != 0 && to != extent) {
            throw new IllegalArgumentException(what + " " + from + ".." + to + " of " + extent + ": both must be multiples of "
                    + step + " or the end, and not the same");
        }
    }
}
