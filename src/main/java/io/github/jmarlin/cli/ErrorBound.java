package io.github.jmarlin.cli;

import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;

/**
 * What a product is promised to differ from fp64 of the packed numbers at most: relative Frobenius error, Gaussian data, k up to 28672.
 * The README states the same figures. Measured was less in fp16 with zero points, see docs/kernels-striped.md; and what packing loses of
 * a file's numbers comes to it, see README.
 */
final class ErrorBound {
    private ErrorBound() {
    }

    static double of(DataType type, WeightForm form) {
        return switch (type) {
            case FP16 -> form.storesOffsets() || form.code() == WeightForm.Code.INT8 ? 4.5e-4 : 3e-4;
            case BF16 -> 3.5e-3;
            case FP32 -> 1e-6;
        };
    }
}
