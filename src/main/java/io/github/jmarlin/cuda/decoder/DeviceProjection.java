package io.github.jmarlin.cuda.decoder;

import io.github.jmarlin.Epilogue;
import io.github.jmarlin.cuda.CudaGemm;
import io.github.jmarlin.cuda.InputGather;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.WorkspaceSize;

/** A linear layer of a decoder on a device: in 4 bits, or a matrix of 16-bit numbers. Made by {@link DecoderWeights}, which closes it. */
public abstract class DeviceProjection {

    private DeviceProjection() {
    }

    /** In-features. */
    public abstract int k();

    /** Out-features. */
    public abstract int n();

    abstract WorkspaceSize workspaceFor(int rows);

    /** Whether the activations have to be put into another order first, for which there must be room. */
    abstract boolean gathers();

    /** Whether the outputs are gate and up in turn, so that the product itself can make silu(gate) * up of them. */
    abstract boolean isInterleaved();

    /** Appends the product to a step; of interleaved outputs what silu-mul makes of them, half as many. */
    abstract void addTo(StepAssembly step, long a, long c, long ldc);

    static final class Packed extends DeviceProjection {
        private final CudaGemm gemm;
        private final InputGather gather;

        /** @param gather null where the activations' order is the weights' */
        Packed(CudaGemm gemm, InputGather gather) {
            this.gemm = gemm;
            this.gather = gather;
        }

        @Override
        public int k() {
            return gemm.weights().shape().k();
        }

        @Override
        public int n() {
            return gemm.weights().shape().n();
        }

        @Override
        WorkspaceSize workspaceFor(int rows) {
            return gemm.workspaceFor(rows);
        }

        @Override
        boolean gathers() {
            return gather != null;
        }

        @Override
        boolean isInterleaved() {
            return gemm.weights().shape().form().columns() == WeightForm.Columns.GATE_UP;
        }

        @Override
        void addTo(StepAssembly step, long a, long c, long ldc) {
            long ordered = a;
            if (gather != null) {
                ordered = step.buffers().gathered();
                step.graph().gather(gather, a, k(), ordered, k());
            }
            step.graph().product(gemm, ordered, k(), c, ldc, isInterleaved() ? Epilogue.NONE.withSiluMul() : Epilogue.NONE);
        }
    }

    static final class Dense extends DeviceProjection {
        private final DenseWeights weights;

        Dense(DenseWeights weights) {
            this.weights = weights;
        }

        @Override
        public int k() {
            return weights.k();
        }

        @Override
        public int n() {
            return weights.n();
        }

        @Override
        WorkspaceSize workspaceFor(int rows) {
            return WorkspaceSize.NONE;
        }

        @Override
        boolean gathers() {
            return false;
        }

        @Override
        boolean isInterleaved() {
            return false;
        }

        @Override
        void addTo(StepAssembly step, long a, long c, long ldc) {
            step.add((kernels, rows) -> kernels.product(rows, a, weights, c, ldc, false));
        }
    }
}
