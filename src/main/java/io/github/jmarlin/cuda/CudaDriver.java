package io.github.jmarlin.cuda;

import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetCount;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDeviceTotalMem;
import static jcuda.driver.JCudaDriver.cuDriverGetVersion;
import static jcuda.driver.JCudaDriver.cuInit;

import io.github.jmarlin.CudaCallException;
import io.github.jmarlin.DeviceUnavailableException;
import io.github.jmarlin.plan.DeviceFacts;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;

/**
 * What the CUDA driver of this machine offers, asked once. Never throws: on a machine without a driver, without a GPU, or of a
 * kind JCuda has no natives for, it keeps the reason.
 */
public final class CudaDriver {
    /** The part of JCuda's page-long message that says what was missing. */
    private static final Pattern CAUSE_LINE = Pattern.compile(
            "(?m)^[\\w.]+(?:Error|Exception): (.*(?:cannot open|No resource|\\.so|\\.dll).*)$");

    private static final CudaDriver THIS_MACHINE = ask();

    private final String reason;
    private final Throwable cause;
    private final int version;
    private final List<CudaDevice> devices;
    private final List<String> unusable;

    private CudaDriver(String reason, Throwable cause, int version, List<CudaDevice> devices, List<String> unusable) {
        this.reason = reason;
        this.cause = cause;
        this.version = version;
        this.devices = List.copyOf(devices);
        this.unusable = List.copyOf(unusable);
    }

    /** Whether at least one device can run the kernels. */
    public static boolean isAvailable() {
        return THIS_MACHINE.reason.isEmpty();
    }

    /** Why no device can be used, in one sentence; empty if one can. */
    public static String unavailableReason() {
        return THIS_MACHINE.reason;
    }

    /** The devices that can run the kernels; their position is not their CUDA ordinal. */
    public static List<CudaDevice> devices() {
        return THIS_MACHINE.devices;
    }

    /** One sentence for every device that cannot run the kernels: which, and why. */
    public static List<String> unusableDevices() {
        return THIS_MACHINE.unusable;
    }

    /** The CUDA version the driver supports, 13000 for 13.0; 0 without a driver. */
    public static int version() {
        return THIS_MACHINE.version;
    }

    /** {@link #version} as people write it: 13.0. */
    public static String versionText() {
        return version() / 1000 + "." + version() % 1000 / 10;
    }

    /** @throws DeviceUnavailableException with the reason, if no device can be used */
    static void require() {
        if (!isAvailable()) {
            throw new DeviceUnavailableException(unavailableReason(), THIS_MACHINE.cause);
        }
    }

    private static CudaDriver ask() {
        try {
            NativeLibrary.unpackTo(Path.of(System.getProperty("java.io.tmpdir")));
            return askDriver();
        } catch (LinkageError e) {
            return unavailable("no CUDA driver: " + reason(e), e, 0, List.of());
        } catch (CudaCallException e) {
            return unavailable("the CUDA driver does not work: " + e.getMessage(), e, 0, List.of());
        }
    }

    private static CudaDriver askDriver() {
        int[] answer = new int[1];
        Cuda.call("cuInit", () -> cuInit(0));
        Cuda.call("cuDriverGetVersion", () -> cuDriverGetVersion(answer));
        int version = answer[0];
        Cuda.call("cuDeviceGetCount", () -> cuDeviceGetCount(answer));
        int count = answer[0];
        List<CudaDevice> devices = new ArrayList<>();
        List<String> unusable = new ArrayList<>();
        for (int ordinal = 0; ordinal < count; ordinal++) {
            try {
                DeviceFacts facts = facts(ordinal);
                if (facts.isSupported()) {
                    devices.add(new CudaDevice(ordinal, facts));
                } else {
                    unusable.add("CUDA device " + ordinal + ", " + facts + ", is too old: the kernels need compute capability "
                            + DeviceFacts.OLDEST_MAJOR + ".0");
                }
            } catch (CudaCallException | IllegalArgumentException e) {
                unusable.add("CUDA device " + ordinal + " does not answer: " + e.getMessage());
            }
        }
        if (devices.isEmpty()) {
            return unavailable(count == 0 ? "the CUDA driver finds no device" : String.join("; ", unusable), null, version,
                    unusable);
        }
        return new CudaDriver("", null, version, devices, unusable);
    }

    private static CudaDriver unavailable(String reason, Throwable cause, int version, List<String> unusable) {
        return new CudaDriver(reason, cause, version, List.of(), unusable);
    }

    private static DeviceFacts facts(int ordinal) {
        CUdevice device = device(ordinal);
        byte[] name = new byte[256];
        Cuda.call("cuDeviceGetName", () -> cuDeviceGetName(name, name.length, device));
        int length = 0;
        while (length < name.length && name[length] != 0) {
            length++;
        }
        long[] memory = new long[1];
        Cuda.call("cuDeviceTotalMem", () -> cuDeviceTotalMem(memory, device));
        // Double data rate, on the whole width of the bus.
        long memoryRate = 2L * 1000 * optional(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)
                * optional(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8;
        return new DeviceFacts(new String(name, 0, length, StandardCharsets.UTF_8),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                optional(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
                memory[0],
                optional(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
                memoryRate);
    }

    static CUdevice device(int ordinal) {
        CUdevice device = new CUdevice();
        Cuda.call("cuDeviceGet", () -> cuDeviceGet(device, ordinal));
        return device;
    }

    private static int attribute(CUdevice device, int attribute) {
        int[] value = new int[1];
        Cuda.call("cuDeviceGetAttribute", () -> cuDeviceGetAttribute(value, attribute, device));
        return value[0];
    }

    /** Only predictions need it: 0 if the driver does not tell. */
    private static int optional(CUdevice device, int attribute) {
        int[] value = new int[1];
        return Cuda.code(() -> cuDeviceGetAttribute(value, attribute, device)) == 0 ? Math.max(0, value[0]) : 0;
    }

    /** One sentence out of what JCuda's class initialisation threw. */
    static String reason(Throwable thrown) {
        Throwable root = thrown;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String message = String.valueOf(root.getMessage());
        String found = "";
        for (Matcher line = CAUSE_LINE.matcher(message); line.find();) {
            // What the driver's half is missing, without the path JCuda extracted its own half to.
            found = line.group(1).replaceFirst("^\\S*libJCudaDriver\\S*: ", "");
        }
        if (found.contains("No resource")) {
            return "JCuda has no natives for " + System.getProperty("os.name") + " on " + System.getProperty("os.arch")
                    + " on the class path or module path (" + found + "): jcuda-natives has them, with the classifier of the platform";
        }
        String reason = found.isEmpty() ? message.lines().findFirst().orElse(root.toString()) : found;
        return reason + NativeLibrary.advice(reason);
    }
}
