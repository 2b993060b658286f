package io.github.jmarlin;

import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** The devices of this machine. Never throws: what cannot be used is in {@link #unavailable} with its reason. */
public final class Devices {
    private static final CpuDevice CPU = new CpuDevice();

    private Devices() {
    }

    /** All devices that can multiply: GPUs in CUDA's order, then the processor. */
    public static List<ComputeDevice> all() {
        List<ComputeDevice> devices = new ArrayList<>(usableGpus());
        devices.add(CPU);
        return List.copyOf(devices);
    }

    /** One sentence for everything that could have been a device: what it is and why it cannot be used. */
    public static List<String> unavailable() {
        List<String> reasons = new ArrayList<>();
        if (!CudaDriver.isAvailable() && CudaDriver.unusableDevices().isEmpty()) {
            reasons.add(CudaDriver.unavailableReason());
        }
        reasons.addAll(CudaDriver.unusableDevices());
        for (CudaDevice device : CudaDriver.devices()) {
            device.missingKernels().ifPresent(reasons::add);
        }
        return List.copyOf(reasons);
    }

    /** The GPU with the fastest memory, or the processor if no GPU can be used; and why. */
    public static DeviceChoice best() {
        List<CudaDevice> gpus = usableGpus();
        Optional<CudaDevice> fastest = gpus.stream().max(Comparator
                .comparingLong((CudaDevice gpu) -> gpu.facts().memoryBytesPerSecond())
                .thenComparing(Comparator.comparingInt(CudaDevice::ordinal).reversed()));
        if (fastest.isPresent()) {
            return new DeviceChoice(fastest.get(), gpus.size() == 1 ? "the only usable GPU"
                    : "the fastest memory of " + gpus.size() + " usable GPUs");
        }
        return new DeviceChoice(CPU, "no usable GPU: " + String.join("; ", unavailable()));
    }

    private static List<CudaDevice> usableGpus() {
        return CudaDriver.devices().stream().filter(device -> device.missingKernels().isEmpty()).toList();
    }
}
