package io.github.jmarlin.cli;

import io.github.jmarlin.ComputeDevice;
import io.github.jmarlin.DeviceChoice;
import io.github.jmarlin.Devices;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The option {@code --device} of every command that computes. */
final class DeviceOption {
    private static final Pattern SYNTAX = Pattern.compile("auto|cpu|cuda(?::(\\d{1,4}))?");

    @Option(names = "--device", paramLabel = "DEVICE", defaultValue = "auto",
            description = "auto (the best there is), cpu, cuda, or cuda:1 for the second CUDA device")
    private String device;

    /** @throws ParameterException if the option is malformed or there is no such device, with the reason */
    DeviceChoice choose(CommandSpec spec) {
        Matcher match = SYNTAX.matcher(device.toLowerCase(Locale.ROOT));
        if (!match.matches()) {
            throw new ParameterException(spec.commandLine(), "--device " + device + ": must be auto, cpu, cuda or cuda:<index>");
        }
        if (match.group().equals("auto")) {
            return Devices.best();
        }
        String kind = match.group().startsWith("cuda") ? "cuda" : "cpu";
        List<ComputeDevice> found = Devices.all().stream().filter(candidate -> candidate.kind().equals(kind)).toList();
        int index = match.group(1) == null ? 0 : Integer.parseInt(match.group(1));
        if (index >= found.size()) {
            throw new ParameterException(spec.commandLine(), "--device " + device + ": there are " + found.size() + " usable " + kind
                    + " devices" + Devices.unavailable().stream().map(reason -> "; " + reason).reduce("", String::concat));
        }
        return new DeviceChoice(found.get(index), "asked for with --device " + device);
    }
}
