package io.github.jmarlin.layout;

import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.Tasks;
import java.nio.ByteBuffer;

/** {@linkplain WeightForm.Sparsity#TWO_OF_FOUR Sparse} packed weights with the zeros in their places, for who multiplies with dense ones. */
public final class SparseExpansion {
    private static final int ROW_LONGS = StripedLayout.BLOCK / 16;

    private SparseExpansion() {
    }

    /**
     * The same weights, every one stored, in memory of their own: scales, factors, bias and input order as they are, bit for bit.
     *
     * @param sparse stays open; its form must be sparse
     */
    public static PackedWeights dense(PackedWeights sparse) {
        StripedLayout from = sparse.layout();
        StripedLayout to = from.withForm(from.form().withSparsity(WeightForm.Sparsity.DENSE));
        NativeMemory codes = NativeMemory.allocate(to.codeBytes(), to.stripCodeBytes());
        NativeMemory scales = NativeMemory.allocate(to.scaleBytes(), to.stripScaleBytes());
        Tasks.forEach(to.strips(), strip -> {
            expand(sparse.codes().slice(from.blockOffset(strip, 0), (int) from.stripCodeBytes()), from,
                    codes.slice(to.blockOffset(strip, 0), (int) to.stripCodeBytes()), to.kBlocks());
            // Two rows of scales lie in each sparse block of groups of 64: behind an odd number of groups one is nobody's.
            scales.copyFrom(strip * to.stripScaleBytes(), sparse.scales().slice(strip * from.stripScaleBytes(), (int) to.stripScaleBytes()));
        });
        return PackedWeights.of(to, sparse.computeType(), codes, scales, null, copy(sparse.factors()), copy(sparse.bias()))
                .withInputOrder(sparse.inputOrder());
    }

    /** One strip: a sparse block becomes two dense ones, the last perhaps one. */
    private static void expand(ByteBuffer source, StripedLayout from, ByteBuffer target, int blocks) {
        long[] stored = new long[StripedLayout.BLOCK * ROW_LONGS];
        long[] rows = new long[2 * StripedLayout.BLOCK * ROW_LONGS];
        BlockCodes order = BlockCodes.of(from.form().code());
        long[] half = new long[StripedLayout.BLOCK * ROW_LONGS];
        for (int block = 0; block < blocks; block++) {
            if (block % 2 == 0) {
                int at = block / 2 * from.form().blockBytes();
                order.unpack(source, at, stored);
                SparseRows.expand(source, at + from.form().blockCodeBytes(), stored, rows);
            }
            System.arraycopy(rows, block % 2 * half.length, half, 0, half.length);
            order.pack(half, target, block * StripedLayout.BLOCK_BYTES);
        }
    }

    private static NativeMemory copy(NativeMemory memory) {
        if (memory == null) {
            return null;
        }
        NativeMemory copy = NativeMemory.allocate(memory.size(), Float.BYTES);
        for (long at = 0; at < memory.size(); at += Float.BYTES) {
            copy.copyFrom(at, memory.slice(at, Float.BYTES));
        }
        return copy;
    }
}
