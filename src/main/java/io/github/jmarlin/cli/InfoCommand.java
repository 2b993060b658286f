package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import io.github.jmarlin.cpu.CpuDevice;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.cuda.CudaDriver;
import io.github.jmarlin.cuda.image.ImageFacts;
import io.github.jmarlin.cuda.image.ImageManifest;
import io.github.jmarlin.cuda.image.ImageStatus;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Says what this machine and this jar have, and what can run where. */
@Command(name = "info", mixinStandardHelpOptions = true,
        description = "List the devices, the kernel images and what can run where.")
final class InfoCommand implements Callable<Integer> {
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
        images(manifest, table);
        table.fact("best device", best.device().name() + (best.device().kind().equals("cpu") ? "" : ", " + best.reason()));
        table.row("device", "--device", "activations", "computes with");
        int cuda = 0;
        for (ComputeDevice device : Devices.all()) {
            if (device instanceof CudaDevice gpu) {
                String option = "cuda:" + cuda++;
                table.row(gpu.facts().toString(), option, "fp16, bf16", computesWith(gpu, option, table));
                checks(gpu, option, table);
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
        return CudaDriver.version() == 0 ? "none" : "for CUDA " + CudaDriver.versionText();
    }

    /** A line for each entry file and target: one with tiles has an image for each of them. */
    private static void images(ImageManifest manifest, Table table) {
        Map<String, List<ImageFacts>> kinds = manifest.images().stream()
                .collect(Collectors.groupingBy(image -> image.kernels() + "." + image.target(), LinkedHashMap::new, Collectors.toList()));
        kinds.forEach((kind, images) -> table.fact("", kind + (images.size() == 1 ? "" : ", " + images.size() + " tiles") + ", for compute"
                + " capability " + images.get(0).capabilities() + ": " + images.get(0).description()));
    }

    /** What is known of the kernels' answers. */
    private static void checks(CudaDevice gpu, String option, Table table) {
        KernelChecks checks = gpu.checks();
        checks.results().forEach((kernels, result) -> table.fact(option + " check", kernels + " " + result));
        if (checks.isEmpty()) {
            table.fact(option + " check", "none yet: jmarlin check" + (checks.note().isEmpty() ? "" : "; " + checks.note()));
        }
    }

    /** Which image of 4-bit integers the driver took, for each family that the device can run; and of every set what it did not take. */
    private static String computesWith(CudaDevice gpu, String option, Table table) {
        List<String> taken = new ArrayList<>();
        for (KernelFamily family : KernelFamily.values()) {
            ImageStatus status = gpu.images(family);
            status.refusals().forEach(refusal -> table.fact(option + " refuses", refusal));
            if (status.isUsable()) {
                taken.add(family.name().toLowerCase(Locale.ROOT) + " " + status.image().substring(status.image().indexOf('.') + 1));
                others(gpu, family).forEach(problem -> table.fact(option + " refuses", problem));
            }
        }
        return String.join(", ", taken);
    }

    /** Why sets of a family's kernels cannot run where those of 4-bit integers do: for 2:4 sparse weights many drivers are too old. */
    private static List<String> others(CudaDevice gpu, KernelFamily family) {
        List<String> problems = new ArrayList<>();
        for (KernelSet set : KernelSet.values()) {
            Kernels kernels = new Kernels(family, set);
            ImageStatus status = kernels.exist() ? gpu.images(kernels) : null;
            if (status != null && !status.isUsable()) {
                problems.add(kernels + ": " + status.problem());
            }
        }
        return problems;
    }
}
