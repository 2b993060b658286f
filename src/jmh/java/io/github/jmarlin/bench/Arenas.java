package io.github.jmarlin.bench;

import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.bench.gpu.GpuArena;
import io.github.jmarlin.bench.host.CpuArena;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cuda.CudaDevice;

/** Opens the arena for a device. */
public final class Arenas {
    private Arenas() {
    }

    /** Where contenders of this device meet. */
    public static Arena of(DeviceChoice choice) {
        if (choice.device() instanceof CpuDevice cpu) {
            return new CpuArena(cpu, Provenance.ofCpu(cpu.name() + ", " + cpu.computesWith(), choice.reason()));
        }
        if (choice.device() instanceof CudaDevice gpu) {
            return new GpuArena(gpu);
        }
        throw new IllegalArgumentException("nothing is measured on " + choice.device().name());
    }
}
