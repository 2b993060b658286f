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
        List<String> reasons = ofDriver();
        for (CudaDevice device : CudaDriver.devices()) {
            device.missingKernels().ifPresent(reasons::add);
        }
        return List.copyOf(reasons);
    }

    /** What the driver itself cannot use. */
    private static List<String> ofDriver() {
        List<String> reasons = new ArrayList<>();
        if (!CudaDriver.isAvailable() && CudaDriver.unusableDevices().isEmpty()) {
            reasons.add(CudaDriver.unavailableReason());
        }
        reasons.addAll(CudaDriver.unusableDevices());
        return reasons;
    }

    /**
     * The GPU with the fastest memory among those whose driver takes the kernels, or the processor if no GPU can be used; and why,
     * with what is wrong with GPUs that would have come first.
     */
    public static DeviceChoice best() {
        List<CudaDevice> gpus = CudaDriver.devices().stream().sorted(Comparator
                .comparingLong((CudaDevice gpu) -> gpu.facts().memoryBytesPerSecond()).reversed()
                .thenComparing(CudaDevice::ordinal)).toList();
        List<String> unusable = new ArrayList<>();
        for (CudaDevice gpu : gpus) {
            Optional<String> missing = gpu.missingKernels();
            if (missing.isEmpty()) {
                return new DeviceChoice(gpu, (gpus.size() == 1 ? "the only usable GPU"
                        : "the usable GPU with the fastest memory, of " + gpus.size())
                        + unusable.stream().map(reason -> "; " + reason).reduce("", String::concat));
            }
            unusable.add(missing.get());
        }
        unusable.addAll(0, ofDriver());
        return new DeviceChoice(CPU, "no usable GPU: " + String.join("; ", unusable));
    }

    private static List<CudaDevice> usableGpus() {
        return CudaDriver.devices().stream().filter(device -> device.missingKernels().isEmpty()).toList();
    }
}
