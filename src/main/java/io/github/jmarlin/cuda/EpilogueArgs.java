package io.github.jmarlin.cuda;

import io.github.jmarlin.Epilogue;

/** Where the fields of {@code EpilogueArgs} lie in the arguments that contain it: the Java half of {@code gemm_args.cuh}. */
final class EpilogueArgs {
    static final int RESIDUAL = 0;
    static final int ROW_FACTORS = 8;
    static final int LDR = 16;
    static final int STEPS = 24;
    static final int SIZE = 32;

    private static final int ADD_RESIDUAL = 1;
    private static final int SCALE_ROWS = 2;
    private static final int SILU_MUL = 4;
    private static final int FLOAT_OUTPUT = 8;

    private EpilogueArgs() {
    }

    /** {@code enum EpilogueStep}: 0 for the product as it is. */
    static int steps(Epilogue epilogue) {
        return (epilogue.residual() == Epilogue.Residual.NONE ? 0 : ADD_RESIDUAL)
                | (epilogue.hasRowFactors() ? SCALE_ROWS : 0)
                | (epilogue.siluMul() ? SILU_MUL : 0)
                | (epilogue.floatOutput() ? FLOAT_OUTPUT : 0);
    }
}
