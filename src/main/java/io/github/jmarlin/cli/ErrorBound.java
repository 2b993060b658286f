package io.github.jmarlin.cli;

import io.github.jmarlin.DataType;

/** What a product may differ from fp64: relative Frobenius error, Gaussian data, k up to 28672. The README states the same figures. */
final class ErrorBound {
    private ErrorBound() {
    }

    static double of(DataType type, boolean zeroPoints) {
        return switch (type) {
            case FP16 -> zeroPoints ? 4.5e-4 : 3e-4;
            case BF16 -> 3.5e-3;
            case FP32 -> 1e-6;
        };
    }
}
