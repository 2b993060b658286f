package io.github.jmarlin.cuda;

import io.github.jmarlin.DeviceUnavailableException;

/** A program of its own, because a driver is looked for once per JVM: prints what {@link CudaDriver} found. */
final class DriverProbe {
    private DriverProbe() {
    }

    public static void main(String[] args) {
        System.out.println("available " + CudaDriver.isAvailable());
        System.out.println("reason " + CudaDriver.unavailableReason());
        System.out.println("version " + CudaDriver.version());
        CudaDriver.devices().forEach(device -> System.out.println("device " + device));
        CudaDriver.unusableDevices().forEach(sentence -> System.out.println("unusable " + sentence));
        try {
            CudaDriver.require();
        } catch (DeviceUnavailableException e) {
            System.out.println("require " + e.getMessage());
        }
    }
}
