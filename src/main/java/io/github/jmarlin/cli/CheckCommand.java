package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.cuda.CudaDevice;
import io.github.jmarlin.plan.CheckFile;
import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.TuningFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Finds out which kernels give the right answers on this machine's GPU, and stores that where plans look. */
@Command(name = "check", mixinStandardHelpOptions = true,
        description = "Multiply known layers through every kernel that plans for this GPU can choose, in a process of its own with a "
                + "deadline, and store what came out beside the tuning file. The library chooses the Hopper kernel by itself only where "
                + "it has passed, and never one that failed.",
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:no kernel failed", "1:one did", "2:bad options"})
final class CheckCommand implements Callable<Integer> {
    private static final int SECONDS = 60;
    private static final int LEAST_SECONDS = 3;
    private static final int MOST_SECONDS = 3600;

    @Spec
    private CommandSpec spec;

    @Mixin
    private DeviceOption deviceOption;

    @Option(names = "--seconds", paramLabel = "N", defaultValue = "" + SECONDS,
            description = "the time for all three families, a third for each (${DEFAULT-VALUE})")
    private int seconds;

    @Option(names = "--force", description = "ask again what is known already")
    private boolean force;

    @Override
    public Integer call() throws IOException {
        if (seconds < LEAST_SECONDS || seconds > MOST_SECONDS) {
            throw new ParameterException(spec.commandLine(),
                    "--seconds " + seconds + ": must be in " + LEAST_SECONDS + ".." + MOST_SECONDS);
        }
        ComputeDevice device = deviceOption.choose(spec).device();
        if (!(device instanceof CudaDevice gpu)) {
            throw new ParameterException(spec.commandLine(), "check asks the kernels of a GPU, and the device is " + device.name());
        }
        KernelChecks checks;
        try (Progress progress = new Progress("check", 1)) {
            progress.begin("kernels of " + gpu.name() + ", at most " + seconds + " s");
            checks = gpu.check(Duration.ofSeconds(seconds), force);
        }
        Table table = Table.ofText().fact("device", gpu.name()).fact("file", CheckFile.location(gpu.facts()).map(Object::toString)
                .orElse("none: -D" + TuningFile.PROPERTY + "=" + TuningFile.OFF + ", so nothing is stored"));
        table.row("kernels", "outcome", "what happened");
        for (Map.Entry<Kernels, KernelChecks.Result> each : checks.results().entrySet()) {
            table.row(each.getKey().toString(), each.getValue().outcome().name().toLowerCase(Locale.ROOT), each.getValue().words());
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        boolean failed = anyFailed(checks);
        if (failed) {
            out.println("FAILED: these kernels are not chosen on this machine. Please report this.");
        }
        out.flush();
        return failed ? 1 : 0;
    }

    /**
     * Before a command measures: asks where nothing is known of this machine, and can be stored. A line on what came out, if it asked.
     */
    static void once(ComputeDevice device, PrintWriter out) {
        if (device instanceof CudaDevice gpu && gpu.checks().isEmpty() && CheckFile.location(gpu.facts()).isPresent()) {
            out.println("Checking the kernels of " + gpu.name() + ", done once, in at most " + SECONDS + " s: jmarlin check");
            out.flush();
            try {
                gpu.check(Duration.ofSeconds(SECONDS), false);
            } catch (IOException e) {
                out.println("  " + e.getMessage());
            }
            gpu.checks().results().forEach((kernels, result) -> out.println("  " + kernels + " " + result));
            out.flush();
        }
    }

    private static boolean anyFailed(KernelChecks checks) {
        return checks.results().keySet().stream().anyMatch(kernels -> checks.failure(kernels).isPresent());
    }
}
