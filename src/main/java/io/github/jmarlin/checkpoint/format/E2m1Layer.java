package io.github.jmarlin.checkpoint.format;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.checkpoint.container.ByteScales;
import io.github.jmarlin.checkpoint.container.Floats;
import io.github.jmarlin.checkpoint.container.Shapes;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.container.TensorType;
import io.github.jmarlin.layout.WeightForm;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * A layer of 4-bit floats as every tool lays it out: codes {@code [n][k / 2]} bytes, the even row in the lower nibble; scales
 * {@code [n][k / g]} bytes. NVFP4: groups of 16, scales E4M3, one float for the tensor besides. MXFP4: groups of 32, scales E8M0.
 */
final class E2m1Layer extends LayerSource {
    /** Exponents that a column's scales may differ by so that all are normal numbers of fp16. */
    private static final int FP16_SPREAD = 29;

    private final ColumnCodes codes;
    private final Tensor scales;
    private final ByteScales kind;
    private final float factor;

    /**
     * What a file says about the numbers.
     *
     * @param kind what a byte of the scales is
     * @param group rows that share a scale
     * @param factor of the whole tensor; NaN if it has none
     */
    record Numbers(ByteScales kind, int group, float factor) {
        static final Numbers MXFP4 = new Numbers(ByteScales.E8M0, 32, Float.NaN);

        static Numbers nvfp4(float factor) {
            return new Numbers(ByteScales.E4M3, 16, factor);
        }

        boolean hasFactor() {
            return !Float.isNaN(factor);
        }
    }

    private E2m1Layer(Facts facts, Tensor codes, Tensor scales, Numbers numbers) {
        super(facts);
        this.codes = new ColumnCodes(codes, 4, 0, facts.k(), null);
        this.scales = scales;
        this.kind = numbers.kind;
        this.factor = numbers.factor;
    }

    /**
     * A layer whose codes have any type and n rows that are whole words; checks everything else.
     *
     * @param bias the bias tensor, or null
     * @param parts the tensors that it is made of, without the bias
     */
    static E2m1Layer of(String name, String scheme, Tensor codes, Tensor scales, Numbers numbers, Tensor bias, List<Tensor> parts) {
        int n = Shapes.extent(codes, "n", codes.shape().get(0));
        long bytes = codes.bytes() / n;
        int k = Shapes.extent(codes, "k", bytes <= Shapes.LARGEST_EXTENT / 2 ? 2 * bytes : -1);
        if (k % numbers.group != 0) {
            throw codes.malformed("k " + k + " from shape " + codes.shape(), "k must be a multiple of the group size " + numbers.group);
        }
        Shapes.requireType(scales, numbers.kind.type(), TensorType.U8);
        Shapes.require(scales, n, k / numbers.group);
        WeightForm form = WeightForm.of(WeightForm.Code.E2M1, WeightForm.Offset.MIDDLE, GroupSizes.forFile(numbers.group, k));
        if (numbers.hasFactor()) {
            form = form.withScaleSource(WeightForm.ScaleSource.GROUP_AND_COLUMN);
        }
        return new E2m1Layer(new Facts(name, scheme, k, n, numbers.group, form, scaleTypes(codes, scales, numbers), bias, null, parts),
                codes, scales, numbers);
    }

    /**
     * What the one float of a tensor multiplies all weights with.
     *
     * @param divides whether weights are divided by it
     */
    static float factor(Tensor tensor, boolean divides) {
        Shapes.requireType(tensor, TensorType.F32);
        if (tensor.bytes() != Float.BYTES) {
            throw tensor.malformed("shape " + tensor.shape(), "must be one number");
        }
        float value = Floats.read(tensor, 0, 1)[0];
        float factor = divides ? 1 / value : value;
        if (factor == 0 || !Float.isFinite(factor)) {
            throw tensor.malformed(0, value, divides ? "must be a number to divide by" : "must not be 0");
        }
        return factor;
    }

    /** E4M3 fits both 16-bit types; powers of two are FP32 of which packing loses nothing, in bf16 if they spread too far for fp16. */
    private static Floats.ScaleTypes scaleTypes(Tensor codes, Tensor scales, Numbers numbers) {
        if (numbers.kind == ByteScales.E4M3) {
            return new Floats.ScaleTypes(DataType.FP16, DataType.FP16);
        }
        int groups = Math.toIntExact(scales.shape().get(1));
        for (long column = 0; column < scales.shape().get(0); column++) {
            ByteBuffer exponents = scales.slice(column * groups, groups);
            int least = 255;
            int most = 0;
            for (int group = 0; group < groups; group++) {
                int exponent = exponents.get(group) & 0xff;
                if (exponent != 0 || !isZero(codes, column * groups + group, numbers.group / 2)) {
                    least = Math.min(least, exponent);
                    most = Math.max(most, exponent);
                }
            }
            if (most - least > FP16_SPREAD) {
                return new Floats.ScaleTypes(DataType.FP32, DataType.BF16);
            }
        }
        return new Floats.ScaleTypes(DataType.FP32, DataType.FP16);
    }

    /** Whether all weights of a group are 0: writers then take the logarithm of 0, and the least exponent means nothing. */
    private static boolean isZero(Tensor codes, long group, int bytes) {
        ByteBuffer pairs = codes.slice(group * bytes, bytes);
        for (int i = 0; i < bytes; i++) {
            if ((pairs.get(i) & 0x77) != 0) {
                return false;
            }
        }
        return true;
    }

    @Override
    public String scales() {
        if (kind == ByteScales.E8M0) {
            return kind + ", powers of two";
        }
        return kind + (Float.isNaN(factor) ? "" : ", one factor " + factor + " for all");
    }

    @Override
    void fill(QuantizedMatrix.Builder matrix, int from, int to) {
        codes.fill(matrix, from, to);
        int fileGroups = Math.toIntExact(scales.shape().get(1));
        putColumns(matrix.scales(), from, to, column -> kind.read(scales, (long) column * fileGroups, (column + 1L) * fileGroups));
        if (!Float.isNaN(factor)) {
            float[] factors = new float[to - from];
            Arrays.fill(factors, factor);
            matrix.withColumnScales(factors);
        }
    }
}
