package io.github.jmarlin.quantize;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.layout.HalfFloats;

/**
 * The sixteen values a group of weights can take, {@code (code - zeroPoint) * scale} for codes 0..15.
 *
 * @param scale as its 16-bit type holds it; 0 for a group of zeros
 * @param zeroPoint 0..15
 */
record GroupGrid(float scale, int zeroPoint) {
    /** The search tries ranges down to this part of the full one. */
    private static final double NARROWEST = 0.5;
    private static final int STEPS = 50;

    int code(double weight) {
        if (scale == 0) {
            return zeroPoint;
        }
        long code = Math.round(weight / scale) + zeroPoint;
        return (int) Math.max(0, Math.min(QuantizedMatrix.MAX_CODE, code));
    }

    float value(int code) {
        return (code - zeroPoint) * scale;
    }

    /**
     * The grid for weights {@code [from, to)}.
     *
     * @param importance what an error in each weight costs; used by the search only
     */
    static GroupGrid of(float[] weights, int from, int to, double[] importance, GptqOptions options) {
        float low = 0;
        float high = 0;
        for (int i = from; i < to; i++) {
            low = Math.min(low, weights[i]);
            high = Math.max(high, weights[i]);
        }
        GroupGrid full = spanning(low, high, options.symmetric(), options.scaleType());
        if (!options.clippingSearch()) {
            return full;
        }
        GroupGrid best = full;
        double least = full.cost(weights, from, to, importance, Double.POSITIVE_INFINITY);
        for (int step = 1; step <= STEPS; step++) {
            double part = 1 - (1 - NARROWEST) * step / STEPS;
            GroupGrid grid = spanning((float) (low * part), (float) (high * part), options.symmetric(), options.scaleType());
            double cost = grid.cost(weights, from, to, importance, least);
            if (cost < least) {
                least = cost;
                best = grid;
            }
        }
        return best;
    }

    private static GroupGrid spanning(float low, float high, boolean symmetric, DataType type) {
        double range = symmetric ? 2.0 * Math.max(-low, high) : (double) high - low;
        float scale = HalfFloats.decode(type, HalfFloats.encode(type, range / QuantizedMatrix.MAX_CODE));
        if (!Float.isFinite(scale)) {
            throw new IllegalArgumentException("weights from " + low + " to " + high + " need the scale "
                    + range / QuantizedMatrix.MAX_CODE + ", which is no finite " + type + " number");
        }
        if (symmetric || scale == 0) {
            return new GroupGrid(scale, QuantizedMatrix.SYMMETRIC_ZERO_POINT);
        }
        return new GroupGrid(scale, (int) Math.max(0, Math.min(QuantizedMatrix.MAX_CODE, Math.round(-low / (double) scale))));
    }

    private double cost(float[] weights, int from, int to, double[] importance, double enough) {
        double cost = 0;
        for (int i = from; i < to && cost < enough; i++) {
            double error = weights[i] - value(code(weights[i]));
            cost += importance[i] * error * error;
        }
        return cost;
    }
}
