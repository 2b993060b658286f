package io.github.jmarlin.llama;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.plan.PlanOptions;

/** The decoder of each kind of device. */
public final class Decoders {
    private Decoders() {
    }

    /** Whether there is a decoder for a device. */
    public static boolean runOn(ComputeDevice device) {
        return device instanceof CpuDevice || device instanceof CudaDevice;
    }

    /** Whether a device multiplies with packed weights where they lie in a file's map, see {@link LlamaModel.Options#inPlace}. */
    public static boolean readInPlace(ComputeDevice device) {
        return device instanceof CpuDevice;
    }

    /**
     * Places a model on a device.
     *
     * @param sequences that the cache has room for
     * @param positions of each of them
     * @throws JMarlinException if there is no decoder for the device, or it has too little memory
     * @throws IllegalArgumentException if the model has fewer positions
     */
    public static Decoder on(ComputeDevice device, LlamaModel model, int sequences, int positions) {
        if (device instanceof CpuDevice cpu) {
            return new CpuDecoder(cpu, model, sequences, positions);
        }
        if (device instanceof CudaDevice gpu) {
            return new CudaDecoder(gpu, model, sequences, positions, PlanOptions.DEFAULT);
        }
        throw new JMarlinException("there is no decoder for " + device.name() + " (" + device.kind() + "): use the processor, --device cpu");
    }
}
