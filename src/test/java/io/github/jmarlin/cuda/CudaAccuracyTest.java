package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.testing.Errors;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The accuracy that is promised: against double precision of the dequantized weights, Gaussian data, relative in the Frobenius
 * norm.
 */
class CudaAccuracyTest extends GpuTest {
    private static final int ROWS = 48;
    private static final int COLUMNS = 64;

    record Case(int k, int groupSize, DataType type, boolean zeroPoints) {}

    static Stream<Case> cases() {
        List<Case> cases = new ArrayList<>();
        for (DataType type : new DataType[] {DataType.FP16, DataType.BF16}) {
            for (int group : new int[] {-1, 32, 64, 128, 256}) {
                cases.add(new Case(2048, group, type, false));
                cases.add(new Case(2048, group, type, true));
            }
        }
        cases.add(new Case(28672, 128, DataType.FP16, false));
        return cases.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void withinTheBound(Case test) {
        QuantizedMatrix matrix = matrix(test.k, COLUMNS, test.groupSize, test.type, test.zeroPoints);
        CudaGemm gemm = upload(matrix, test.type).gemm(PlanOptions.DEFAULT);
        float[] a = activations(ROWS, test.k, test.type);
        double bound = test.type == DataType.BF16 ? 3.5e-3 : 3e-4;
        Errors.assertWithin(bound, ReferenceProduct.multiply(matrix, a, ROWS), multiply(gemm, a, ROWS, workspace(gemm, ROWS)),
                COLUMNS, test.toString());
    }
}
