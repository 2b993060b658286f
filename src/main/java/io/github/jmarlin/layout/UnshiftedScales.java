package io.github.jmarlin.layout;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import java.util.Optional;

/**
 * Scales, zero points, float zeros and column scales of packed weights as a matrix has them: {@link ShiftedScales} backwards.
 *
 * <p>They come back in the compute type if it holds them all, else in FP32. What a column's factor has besides a power of two is the
 * mantissa of scales that were FP32, or of a column scale; which power of two a column scale had is not kept: they come back such
 * that the scales of the groups are numbers of the compute type.
 */
final class UnshiftedScales {
    private final PackedWeights packed;
    private final StripedLayout layout;
    private final DataType computeType;
    private final DataType type;

    UnshiftedScales(PackedWeights packed) {
        this.packed = packed;
        layout = packed.layout();
        computeType = packed.computeType();
        type = fitComputeType() ? computeType : DataType.FP32;
    }

    /** The type of the scales and float zeros. */
    DataType type() {
        return type;
    }

    /** A factor for every column, if the form has them. */
    Optional<float[]> columnScales() {
        if (!packed.form().hasColumnScales()) {
            return Optional.empty();
        }
        float[] scales = new float[layout.n()];
        for (int column = 0; column < scales.length; column++) {
            scales[column] = (float) (factor(column) * unitValue(column) / groupUnit(column));
        }
        return Optional.of(scales);
    }

    /** Sets scales and zero points or float zeros of the columns of one strip. */
    void unpack(QuantizedMatrix.Builder matrix, int strip) {
        int end = Math.min(layout.n(), (strip + 1) * StripedLayout.BLOCK);
        for (int column = strip * StripedLayout.BLOCK; column < end; column++) {
            double unit = groupUnit(column);
            for (int group = 0; group < layout.groups(); group++) {
                matrix.setScale(group, column, (float) (shifted(group, column) * unit));
                if (packed.form().hasZeroPoints()) {
                    short zeroCode = packed.zeros().getShort(layout.scaleOffset(group, column));
                    matrix.setZeroPoint(group, column, ShiftedScales.zeroPoint(packed.form(), zeroCode, column));
                } else if (packed.form().hasFloatZeros()) {
                    matrix.setFloatZero(group, column, (float) (floatZero(group, column)));
                }
            }
        }
    }

    /** Whether scales and float zeros are numbers of the compute type, as all are that were so before. */
    private boolean fitComputeType() {
        for (int column = 0; column < layout.n(); column++) {
            double unit = groupUnit(column);
            if (Math.abs(unit) != Math.scalb(1.0, Math.getExponent(unit))) {
                return false;
            }
            for (int group = 0; group < layout.groups(); group++) {
                if (!fits(shifted(group, column) * unit) || packed.form().hasFloatZeros() && !fits(floatZero(group, column))) {
                    return false;
                }
            }
        }
        return true;
    }

    private boolean fits(double value) {
        return HalfFloats.decode(computeType, HalfFloats.encode(computeType, value)) == value;
    }

    /** What the packed scales of a column are multiplied with to be those of its groups. */
    private double groupUnit(int column) {
        if (packed.form().hasColumnScales()) {
            return computeType == DataType.FP16 ? 1 : Math.scalb(1.0, -ShiftedScales.topExponent(computeType));
        }
        return factor(column) * unitValue(column);
    }

    private double shifted(int group, int column) {
        return HalfFloats.decode(computeType, packed.scales().getShort(layout.scaleOffset(group, column)));
    }

    private double floatZero(int group, int column) {
        return HalfFloats.decode(computeType, packed.zeros().getShort(layout.scaleOffset(group, column))) * factor(column);
    }

    private double unitValue(int column) {
        return ShiftedScales.unitValue(packed.form(), computeType, column);
    }

    private double factor(int column) {
        return packed.factors().getFloat((long) column * Float.BYTES);
    }
}
