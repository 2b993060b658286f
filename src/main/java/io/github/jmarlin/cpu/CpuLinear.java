package io.github.jmarlin.cpu;

import io.github.jmarlin.DataType;
import io.github.jmarlin.Epilogue;
import io.github.jmarlin.HostOperands;
import io.github.jmarlin.LinearLayer;
import io.github.jmarlin.PackedWeights;
import io.github.jmarlin.layout.SparseExpansion;
import io.github.jmarlin.layout.WeightForm;
import io.github.jmarlin.memory.UseCount;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A linear layer on the processor, for activations of every type. */
public final class CpuLinear implements LinearLayer {
    private final CpuDevice device;
    private final PackedWeights weights;
    /** Of sparse weights a copy with all zeros, which is what is multiplied with; else null. */
    private final PackedWeights expanded;
    /** One of the two is null. */
    private final NativeProduct nativeProduct;
    private final JavaProduct javaProduct;
    private final UseCount uses;

    CpuLinear(CpuDevice device, PackedWeights weights) {
        this.device = device;
        this.weights = weights;
        uses = new UseCount("layer of " + weights);
        weights.acquire();
        try {
            expanded = weights.form().isSparse() ? SparseExpansion.dense(weights) : null;
            PackedWeights all = expanded == null ? weights : expanded;
            nativeProduct = NativeProduct.of(device, all);
            javaProduct = nativeProduct == null ? new JavaProduct(device.pool(), all) : null;
        } catch (RuntimeException | Error e) {
            weights.release();
            throw e;
        }
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
    public DataType computeType() {
        return weights.computeType();
    }

    /** True for all types. */
    @Override
    public boolean supports(DataType type) {
        return true;
    }

    @Override
    public WeightForm form() {
        return weights.form();
    }

    @Override
    public void multiply(DataType type, ByteBuffer a, long m, ByteBuffer c, Epilogue epilogue) {
        HostOperands.check(this, type, a, m, c, epilogue);
        uses.acquire();
        try {
            ByteBuffer activations = a.slice().order(ByteOrder.LITTLE_ENDIAN);
            Outputs outputs = Outputs.of(weights, type, c.slice().order(ByteOrder.LITTLE_ENDIAN), epilogue);
            if (nativeProduct != null) {
                nativeProduct.multiply(type, activations, m, outputs);
            } else {
                javaProduct.multiply(type, activations, 0, m, outputs);
            }
        } finally {
            uses.release();
        }
    }

    @Override
    public void close() {
        if (uses.close()) {
            if (nativeProduct != null) {
                nativeProduct.close();
            }
            if (expanded != null) {
                expanded.close();
            }
            weights.release();
        }
    }

    @Override
    public String toString() {
        return "CpuLinear[" + weights + " on " + device.name() + "]";
    }
}
