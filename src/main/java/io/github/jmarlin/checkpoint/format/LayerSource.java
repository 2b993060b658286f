package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.MalformedCheckpointException;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.HalfFloats;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.layout.StripedPacker;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.MemoryPool;
import io.github.jmarlin.memory.NativeMemory;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntFunction;

/**
 * One linear layer of a checkpoint that this library can run, whatever the format it is stored in. Its shapes and settings were
 * checked against each other when it was made; its elements are read, and checked, by {@link #read}. Immutable and thread-safe.
 */
public abstract class LayerSource {
    /** Strips of the packed form, and a multiple of every format's own unit. */
    public static final int COLUMN_STEP = 64;

    private static final int PIECE = 64;

    private final Facts facts;

    /**
     * What every format must find out about a layer.
     *
     * @param fileGroupSize rows per scale in the file; at least k for one group
     * @param form what a weight is, in the groups of the matrix: {@link GroupSizes#forFile} of the file's
     * @param bias the bias tensor, or null
     * @param inputOrder see {@link QuantizedMatrix#inputOrder}, or null
     * @param tensors the tensors the layer is made of, without the bias
     */
    record Facts(String name, String scheme, int k, int n, int fileGroupSize, WeightForm form, Floats.ScaleTypes scales,
            Tensor bias, int[] inputOrder, List<Tensor> tensors) {
    }

    LayerSource(Facts facts) {
        this.facts = facts;
        if (facts.bias != null) {
            Shapes.require(facts.bias, facts.n);
            Shapes.requireType(facts.bias, TensorType.F16, TensorType.BF16, TensorType.F32);
        }
    }

    final Facts facts() {
        return facts;
    }

    /** Columns at which {@link #read} may start and end. */
    public int columnStep() {
        return COLUMN_STEP;
    }

    /** The layer's name: what its tensors' names have in common. */
    public String name() {
        return facts.name;
    }

    /** The format and its variant, for people. */
    public String scheme() {
        return facts.scheme;
    }

    /** In-features. */
    public int k() {
        return facts.k;
    }

    /** Out-features. */
    public int n() {
        return facts.n;
    }

    /** Rows per scale in the file; k if one group spans all rows. */
    public int fileGroupSize() {
        return Math.min(facts.fileGroupSize, facts.k);
    }

    /**
     * The group size of the matrix that {@link #read} gives: the file's, or the largest supported one that divides it (scales are
     * then repeated), or -1.
     */
    public int groupSize() {
        return facts.form.groupSize();
    }

    /** What a weight is, in the groups of the matrix. */
    public WeightForm form() {
        return facts.form;
    }

    /** Whether there are zero points; otherwise all integers have the middle, 8 or 128, and floats none. */
    public boolean hasZeroPoints() {
        return form().hasZeroPoints();
    }

    /** Whether there is a bias. */
    public boolean hasBias() {
        return facts.bias != null;
    }

    /** The type of the scales of the matrix that {@link #read} gives: FP16, BF16, or FP32 where neither holds them exactly. */
    public DataType scaleType() {
        return facts.scales.matrix();
    }

    /** The 16-bit type to pack for, unless somebody wants another one. */
    public DataType computeType() {
        return facts.scales.compute();
    }

    /** The type of the scales, and what packing loses of it, for people. */
    public String scales() {
        return scaleType().is16Bit() ? scaleType().name()
                : "FP32, rounded to " + computeType() + (groups() == 1 ? " but for the largest of a column: nothing is lost" : ""
                + " (at most " + ShiftedScales.unitRoundoff(computeType()) + " of a scale)");
    }

    /** Whether the rows of the file had to be sorted by group, so that activations must follow. */
    public boolean isActOrdered() {
        return facts.inputOrder != null;
    }

    /** The tensors of the checkpoint that make up this layer. */
    public List<Tensor> tensors() {
        List<Tensor> tensors = new ArrayList<>(facts.tensors);
        if (facts.bias != null) {
            tensors.add(facts.bias);
        }
        return tensors;
    }

    /** Bytes of those tensors. */
    public long bytes() {
        return tensors().stream().mapToLong(Tensor::bytes).sum();
    }

    /** The whole layer. */
    public QuantizedMatrix read() {
        return read(0, n());
    }

    /**
     * Columns {@code [from, to)} of the layer.
     *
     * @param from a multiple of {@link #columnStep}
     * @param to a multiple too, or n
     * @throws MalformedCheckpointException if a scale or bias is not finite, or a zero point is outside 0..16, or 0..256 of 8-bit codes
     */
    public QuantizedMatrix read(int from, int to) {
        checkColumns(from, to);
        try (QuantizedMatrix.Builder matrix = QuantizedMatrix.builder(k(), to - from, form(), scaleType())) {
            if (facts.inputOrder != null) {
                matrix.withInputOrder(inputOrder());
            }
            if (facts.bias != null) {
                matrix.setBias(Floats.read(facts.bias, from, to));
            }
            fill(matrix, from, to);
            return matrix.build();
        }
    }

    /**
     * Packs columns {@code [from, to)}: what {@link PackedWeights#pack} makes of {@link #read}.
     *
     * @param from a multiple of {@link #columnStep}
     * @param to a multiple too, or n
     * @param computeType FP16 or BF16
     * @throws MalformedCheckpointException as {@link #read} does
     * @throws IllegalArgumentException if a column's scales do not fit the compute type even after its shift
     */
    public final PackedWeights pack(int from, int to, DataType computeType) {
        try (MemoryPool pool = new MemoryPool()) {
            return pack(from, to, computeType, pool);
        }
    }

    /** The same into memory of a pool, which may be closed before the weights are. */
    public PackedWeights pack(int from, int to, DataType computeType, MemoryPool pool) {
        try (QuantizedMatrix matrix = read(from, to)) {
            return StripedPacker.pack(matrix, computeType, pool);
        }
    }

    /** Rejects columns that {@link #read} cannot give. */
    final void checkColumns(int from, int to) {
        Objects.checkFromToIndex(from, to, n());
        if (from % columnStep() != 0 || to % columnStep() != 0 && to != n() || from == to) {
            throw new IllegalArgumentException("columns " + from + ".." + to + " of " + n() + ": both must be multiples of "
                    + columnStep() + " or the end, and not the same");
        }
    }

    /** See {@link QuantizedMatrix#inputOrder}; null if there is none. */
    final IntBuffer inputOrder() {
        return facts.inputOrder == null ? null : IntBuffer.wrap(facts.inputOrder);
    }

    /** Writes codes, scales and zero points of columns {@code [from, to)} into the matrix. */
    abstract void fill(QuantizedMatrix.Builder matrix, int from, int to);

    /** Groups of the matrix. */
    final int groups() {
        int rows = groupSize() < 0 ? k() : groupSize();
        return (k() - 1) / rows + 1;
    }

    /** The file's group that holds the scales of the matrix's group. */
    final int fileGroup(int group) {
        return groupSize() < 0 ? 0 : (int) ((long) group * groupSize() / facts.fileGroupSize);
    }

    /**
     * Writes parameters that the file has along k, a row of groups for each out-feature: {@link #PIECE} columns at a time, so that
     * each row of the matrix gets them in one piece.
     *
     * @param target {@code [groups][to - from]} of the scale type
     * @param column the file's groups of an out-feature
     */
    final void putColumns(NativeMemory target, int from, int to, IntFunction<float[]> column) {
        float[][] values = new float[PIECE][];
        int bytes = scaleType().bytes();
        for (int first = from; first < to; first += PIECE) {
            int count = Math.min(PIECE, to - first);
            for (int i = 0; i < count; i++) {
                values[i] = column.apply(first + i);
            }
            for (int group = 0; group < groups(); group++) {
                ByteBuffer row = target.slice(((long) group * (to - from) + first - from) * bytes, count * bytes);
                int fileGroup = fileGroup(group);
                for (int i = 0; i < count; i++) {
                    if (scaleType().is16Bit()) {
                        row.putShort(i * Short.BYTES, HalfFloats.encode(scaleType(), values[i][fileGroup]));
                    } else {
                        row.putFloat(i * Float.BYTES, values[i][fileGroup]);
                    }
                }
            }
        }
    }

    /** Sets the scales of the matrix's group, given the file's row of them. */
    final void putScales(QuantizedMatrix.Builder matrix, int group, float[] values) {
        int bytes = scaleType().bytes();
        ByteBuffer row = matrix.scales().slice((long) group * values.length * bytes, values.length * bytes);
        if (scaleType().is16Bit()) {
            row.asShortBuffer().put(Floats.encode(scaleType(), values));
        } else {
            row.asFloatBuffer().put(values);
        }
    }

    @Override
    public String toString() {
        return name() + " " + scheme() + " k " + k() + ", n " + n();
    }
}
