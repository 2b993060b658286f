package io.github.jmarlin.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DataType;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.plan.KernelFamily;
import org.junit.jupiter.api.BeforeAll;

/** The contract of every device, by way of dense weights and cuBLAS. */
class DenseLinearTest extends CudaLinearTest {

    @BeforeAll
    void needsCublas() {
        assumeTrue(CudaDriver.isAvailable(), CudaDriver::unavailableReason);
        CudaDevice device = CudaDriver.devices().get(0);
        assumeTrue(device.missing(KernelFamily.DENSE).isEmpty(), () -> device.missing(KernelFamily.DENSE).orElseThrow());
    }

    /** A dense weight has the column's own factor in its 16 bits too: rounded once more than where the sum is multiplied with it. */
    @Override
    protected double allowed(double bound, DataType type, WeightForm form, int results) {
        double plain = super.allowed(bound, type, form, results);
        return form.hasColumnScales() ? (results < 32 ? 2 : 1.5) * plain : plain;
    }

    @Override
    protected KernelFamily family() {
        return KernelFamily.DENSE;
    }

    @Override
    protected ComputeDevice device() {
        return asked(family());
    }
}
