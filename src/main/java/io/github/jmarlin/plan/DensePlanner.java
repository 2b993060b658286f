package io.github.jmarlin.plan;

import java.util.Locale;

/**
 * Plans and predicts products by way of dense weights: the expansion moves the packed and the dense bytes once, then cuBLAS takes the
 * slower of the dense operands' bytes and its tensor work.
 *
 * <p>The rates are leads, taken from data sheets and public measurements; none was measured with this library, and no automatic choice
 * goes by them.
 */
final class DensePlanner {
    /** Predicted slower than the choice by more than this, it is not worth a word. */
    private static final double WORTH_A_WORD = 2;

    /** NVIDIA's recommendation for cublasSetWorkspace: 32 MiB from Hopper on, 4 MiB before. */
    private static final long CUBLAS_BYTES = 4L << 20;
    private static final long CUBLAS_BYTES_FROM_HOPPER = 32L << 20;

    private final DeviceFacts device;
    private final WeightShape weights;
    private final Rates rates;
    private final double dramRate;
    private final double tensorRate;

    DensePlanner(DeviceFacts device, WeightShape weights, Rates rates) {
        this.device = device;
        this.weights = weights;
        this.rates = rates;
        dramRate = rates.of(Rate.DRAM_EFFICIENCY) * rates.of(Rate.DRAM_BYTES_PER_SECOND);
        tensorRate = rates.of(Rate.CUBLAS_TENSOR_EFFICIENCY) * device.multiprocessors() * rates.of(Rate.CLOCK_HZ)
                * flopPerClock(device.computeCapability());
    }

    /** 16-bit multiplications and additions with fp32 sums, per SM. */
    private static double flopPerClock(int capability) {
        return switch (capability) {
            case 80 -> 2048;                // A100: 312 TFLOP/s over 108 SMs at 1.41 GHz
            case 86, 87, 89 -> 1024;        // A40: 150 TFLOP/s over 84 SMs at 1.74 GHz (GeForce halves it)
            case 90 -> 4096;                // H100: 989 TFLOP/s over 132 SMs at 1.83 GHz
            default -> 2048;                // newer: assumed no slower than an A100
        };
    }

    DensePlan plan(int rows) {
        return new DensePlan(DensePlan.kernelName(weights), rows, weights, DensePlan.gridOn(device),
                device.computeMajor() >= 9 ? CUBLAS_BYTES_FROM_HOPPER : CUBLAS_BYTES, predict(rows),
                "dense weights and cuBLAS as asked, never measured");
    }

    private Prediction predict(int rows) {
        double dense = weights.denseBytes();
        double expansion = (weights.packedBytes() + dense) / dramRate + rates.of(Rate.KERNEL_GAP_SECONDS);
        double operands = 2.0 * rows * ((double) weights.k() + weights.n());
        double tensor = 2.0 * rows * weights.k() * weights.n() / tensorRate;
        return rates.prediction((dense + operands) / dramRate, 0, tensor, 0, 0, expansion);
    }

    /** For the reason of a plan that the cost model chose, taking {@code chosen} seconds: what this way is predicted to take. */
    String hint(int rows, double chosen) {
        double seconds = predict(rows).seconds();
        return seconds > WORTH_A_WORD * chosen ? ""
                : String.format(Locale.ROOT,
                        "; dense weights and cuBLAS, predicted at %.2f us, are not chosen before a measurement", 1e6 * seconds);
    }
}
