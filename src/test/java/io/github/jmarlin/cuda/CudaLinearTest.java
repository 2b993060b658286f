package io.github.jmarlin.cuda;


import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.MultiplyContractTest;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.layout.ShiftedScales;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.PlanOptions;
import io.github.jmarlin.plan.WeightShape;
import io.github.jmarlin.testing.Gpu;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;

/** The contract of every device, on the GPU, or the stand-in driver. */
@Tag("gpu")
class CudaLinearTest extends MultiplyContractTest {

    @BeforeAll
    void needsADevice() {
        Gpu.first();
    }

    @Override
    protected Stream<WeightForm> numberForms(int groupSize) {
        return super.numberForms(groupSize).filter(form -> KernelSet.of(form).weights(family()).contains(new WeightShape(4096, 64, DataType.FP16, form).kind()));
    }

    @Override
    protected int[] numberFormBatches() {
        return new int[] {1, 17, 66};
    }

    @Override
    protected boolean multipliesSparseWeights() {
        return new Kernels(family(), KernelSet.SPARSE).exist();
    }

    /** Kernels round weights too, to 16 bits; and the root of so many squared errors scatters. */
    @Override
    protected double allowed(double bound, DataType type, WeightForm form, int results) {
        return results < 16 ? Math.max(bound, 2 * ShiftedScales.unitRoundoff(type)) : bound * (1 + 1 / Math.sqrt(2 * results));
    }

    /** Whose kernels multiply. */
    protected KernelFamily family() {
        return KernelFamily.STRIPED;
    }

    @Override
    protected ComputeDevice device() {
        return CudaDriver.devices().get(0);
    }

    /** The same device, whose layers run by these kernels. */
    static ComputeDevice asked(KernelFamily family) {
        CudaDevice device = CudaDriver.devices().get(0);
        return new ComputeDevice() {
            @Override
            public String name() {
                return device.name();
            }

            @Override
            public String kind() {
                return device.kind();
            }

            @Override
            public LinearLayer place(PackedWeights weights) {
                return device.place(weights, PlanOptions.DEFAULT.withFamily(family));
            }
        };
    }

    @Override
    protected List<Shape> shapes() {
        return List.of(new Shape(256, 192, 128), new Shape(1, 1, 32), new Shape(63, 65, 32), new Shape(224, 70, 128),
                new Shape(320, 130, 256), new Shape(129, 260, -1));
    }

    @Override
    protected List<Shape> epilogueShapes() {
        return List.of(new Shape(160, 70, 32), new Shape(192, 258, -1));
    }

    @Override
    protected int[] epilogueBatches() {
        return new int[] {1, 9, 70};
    }
}
