package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.ImageManifest;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Says what this machine and this jar have, and what can run where. */
@Command(name = "info", mixinStandardHelpOptions = true,
        description = "List the devices, the kernel images and what can run where.")
final class InfoCommand implements Callable<Integer> {
    private static final String KERNEL_FAMILY = "striped";

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        ImageManifest manifest = ImageManifest.read();
        DeviceChoice best = Devices.best();
        Table table = Table.ofText();
        table.fact("Java", System.getProperty("java.version") + ", " + System.getProperty("os.name") + " "
                + System.getProperty("os.arch") + ", heap up to " + Figures.bytes(Runtime.getRuntime().maxMemory()));
        table.fact("CUDA driver", driver());
        for (String reason : Devices.unavailable()) {
            table.fact("not usable", reason);
        }
        table.fact("kernels", manifest.images().isEmpty() ? "none in " + manifest.origin()
                : "in " + manifest.origin() + ", by nvcc " + manifest.nvcc());
        for (String image : manifest.images()) {
            table.fact("", image + ", for compute capability " + capabilities(image));
        }
        table.fact("best device", best.device().name() + (best.device().kind().equals("cpu") ? "" : ", " + best.reason()));
        table.row("device", "--device", "activations", "computes with");
        int cuda = 0;
        for (ComputeDevice device : Devices.all()) {
            if (device instanceof CudaDevice gpu) {
                table.row(gpu.facts().toString(), "cuda:" + cuda++, "fp16, bf16", ImageManifest.imageFor(KERNEL_FAMILY, gpu.facts()));
            } else {
                table.row(device.name(), device.kind(), "fp16, bf16, fp32", device instanceof CpuDevice cpu ? cpu.computesWith() : "");
            }
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.flush();
        return 0;
    }

    private static String driver() {
        int version = CudaDriver.version();
        return version == 0 ? "none" : String.format(Locale.ROOT, "for CUDA %d.%d", version / 1000, version % 1000 / 10);
    }

    private static String capabilities(String image) {
        if (image.contains(".sm_90a.")) {
            return "9.0";
        }
        return image.endsWith(".ptx") ? "10.0 and newer, finished by the driver" : "8.0 to 8.9";
    }
}
