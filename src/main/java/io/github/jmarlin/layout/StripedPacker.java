package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.memory.MemoryPool;
import io.github.jmarlin.memory.NativeMemory;
import io.github.jmarlin.memory.Tasks;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Moves whole matrices into the {@linkplain StripedLayout striped layout} and back, strip by strip on all processors of the common
 * pool. What is packed says how ({@link StripSource}): a matrix, or a file whose codes lie better.
 */
public final class StripedPacker {
    private StripedPacker() {
    }

    /** See {@link PackedWeights#pack}. */
    public static PackedWeights pack(QuantizedMatrix matrix, DataType computeType) {
        try (MemoryPool pool = new MemoryPool()) {
            return pack(matrix, computeType, pool);
        }
    }

    /** The same into memory of a pool. */
    public static PackedWeights pack(QuantizedMatrix matrix, DataType computeType, MemoryPool pool) {
        return pack(new MatrixStrips(matrix), computeType, pool).withInputOrder(matrix.inputOrder());
    }

    /** The same of what need not be a matrix: the packed form of the matrix it would be, to the bit. */
    public static PackedWeights pack(StripSource source, DataType computeType, MemoryPool pool) {
        PackedWeights.checkComputeType(computeType);
        StripedLayout layout = source.layout();
        float[] bias = source.bias();
        PackedWeights packed = allocate(layout, computeType, bias != null, pool);
        try {
            Tasks.forEach(layout.strips(), index -> {
                StripSource.Strip strip = source.strip(index);
                ScaleStrip scales = new ScaleStrip(source, strip, index, packed);
                scales.pack();
                scales.write();
                strip.pack(packed.codes().slice(layout.blockOffset(index, 0), (int) layout.stripCodeBytes()));
            });
            for (int column = 0; bias != null && column < layout.paddedN(); column++) {
                packed.bias().putFloat((long) column * Float.BYTES, column < layout.n() ? bias[column] : 0);
            }
            return packed;
        } catch (RuntimeException | Error e) {
            packed.close();
            throw e;
        }
    }

    private static PackedWeights allocate(StripedLayout layout, DataType computeType, boolean bias, MemoryPool pool) {
        List<NativeMemory> made = new ArrayList<>();
        try {
            made.add(pool.allocate(layout.codeBytes(), layout.stripCodeBytes()));
            made.add(pool.allocate(layout.scaleBytes(), layout.stripScaleBytes()));
            made.add(layout.form().storesOffsets() ? pool.allocate(layout.scaleBytes(), layout.stripScaleBytes()) : null);
            made.add(pool.allocate((long) layout.paddedN() * Float.BYTES, Float.BYTES));
            made.add(bias ? pool.allocate((long) layout.paddedN() * Float.BYTES, Float.BYTES) : null);
            return PackedWeights.of(layout, computeType, made.get(0), made.get(1), made.get(2), made.get(3), made.get(4));
        } catch (RuntimeException | Error e) {
            made.stream().filter(Objects::nonNull).forEach(NativeMemory::close);
            throw e;
        }
    }

    /** See {@link PackedWeights#unpack}. */
    public static QuantizedMatrix unpack(PackedWeights packed) {
        StripedLayout layout = packed.layout();
        UnshiftedScales scales = new UnshiftedScales(packed);
        try (var matrix = QuantizedMatrix.builder(layout.k(), layout.n(), packed.form(), scales.type())) {
            scales.columnScales().ifPresent(matrix::withColumnScales);
            Tasks.forEach(layout.strips(), strip -> {
                scales.unpack(matrix, strip);
                unpackStrip(packed.codes().slice(layout.blockOffset(strip, 0), (int) layout.stripCodeBytes()), layout, strip,
                        matrix.codes());
            });
            if (packed.hasBias()) {
                matrix.withBias();
                for (int column = 0; column < layout.n(); column++) {
                    matrix.setBias(column, packed.bias().getFloat((long) column * Float.BYTES));
                }
            }
            return matrix.build();
        }
    }

    private static void unpackStrip(ByteBuffer source, StripedLayout layout, int strip, NativeMemory codes) {
        WeightForm form = layout.form();
        BlockCodes blocks = BlockCodes.of(form.code());
        long[] rows = new long[form.blockRows() * BlockRows.longs(form.code())];
        long[] stored = form.isSparse() ? new long[StripedLayout.BLOCK * BlockRows.longs(form.code())] : rows;
        for (int block = 0; block < layout.kBlocks(); block++) {
            int at = block * form.blockBytes();
            blocks.unpack(source, at, stored);
            if (form.isSparse()) {
                SparseRows.expand(source, at + form.blockCodeBytes(), stored, rows);
            }
            BlockRows.write(rows, layout, strip, block, codes);
        }
    }
}
