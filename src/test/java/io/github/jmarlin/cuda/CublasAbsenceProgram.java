package io.github.jmarlin.cuda;

import io.github.jmarlin.DataType;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.QuantizedMatrix;
import io.github.jmarlin.cpu.ReferenceProduct;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.Tuning;
import io.github.jmarlin.plan.TuningFile;
import io.github.jmarlin.plan.WorkspaceSize;
import io.github.jmarlin.testing.Errors;
import io.github.jmarlin.testing.TestMatrices;
import java.nio.file.Path;

/**
 * A product whose tuning file asks for cuBLAS, in a JVM of its own that lacks something of it. Prints the plan's reason and what those
 * are told who ask for cuBLAS themselves. Arguments: the tuning file to write, then classes that must load.
 */
final class CublasAbsenceProgram {
    private CublasAbsenceProgram() {
    }

    public static void main(String[] args) throws Exception {
        for (int i = 1; i < args.length; i++) {
            Class.forName(args[i]);
        }
        CudaDevice device = CudaDriver.devices().get(0);
        PlanOptions dense = PlanOptions.DEFAULT.withFamily(KernelFamily.DENSE);
        try (QuantizedMatrix matrix = TestMatrices.layer(128, 70, 64, DataType.FP16, true, true, 3);
                PackedWeights packed = PackedWeights.pack(matrix, DataType.FP16)) {
            Tuning.Product product = new Tuning.Product(128, 70, "zp_g64", DataType.FP16, 8);
            TuningFile.write(Path.of(args[0]), device.facts(), Tuning.NONE.with(product, new Tuning.Winner(dense, 1e-6)));
            try (CudaLinear layer = device.place(packed)) {
                float[] a = TestMatrices.gaussian(9 * 128, 4);
                Errors.assertWithin(1e-3, ReferenceProduct.multiply(matrix, a, 9), layer.multiply(a, 9), 70, "9 rows");
                System.out.println(layer.plan(9).kernel());
                System.out.println(layer.plan(9).reason());
            }
            try {
                device.place(packed, dense).close();
                System.out.println("placed");
            } catch (IllegalArgumentException e) {
                System.out.println(e.getMessage());
            }
            try (CudaEngine engine = CudaEngine.ofPrimaryContext(device)) {
                engine.newWorkspace(null, new WorkspaceSize(0, 0, 1)).close();
                System.out.println("a workspace with cuBLAS");
            } catch (IllegalStateException e) {
                System.out.println(e.getMessage());
            }
        }
    }
}
