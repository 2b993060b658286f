package io.github.jmarlin.cuda;

import io.github.jmarlin.plan.KernelChecks;
import io.github.jmarlin.plan.KernelChecks.Outcome;
import io.github.jmarlin.plan.KernelChecks.Result;
import io.github.jmarlin.plan.KernelFamily;
import io.github.jmarlin.plan.KernelSet;
import io.github.jmarlin.plan.Kernels;
import io.github.jmarlin.plan.TuningCandidates;
import io.github.jmarlin.plan.TuningFile;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Asks the kernels of a device for products that are known, each family in a {@link CheckProcess} with a deadline: what hangs or
 * faults there takes nothing else with it. A process goes from set to set of weights, 4-bit integers first.
 *
 * <p>A set has failed if a kernel gave a wrong answer or an error, or had not answered by the deadline, or took the process with it.
 * It is unchecked if the process did not come to its first kernel, or was still at work, or loading, when its time was up. Of what came
 * after a failure nothing is known.
 */
final class KernelCheck {
    /** The shortest time that is worth a process for each family. */
    static final Duration LEAST = Duration.ofSeconds(3);

    /** Of a family's time what its process may spend before it says itself that this is not enough. */
    private static final double OWN_SHARE = 0.85;
    /** Properties that the process needs as this one has them, besides this library's. */
    private static final List<String> INHERITED = List.of("java.library.path", "java.io.tmpdir", "user.home");
    private static final String HEAP = "-Xmx512m";

    /** Makes the command for a family that is given so many milliseconds. */
    interface Command {
        List<String> of(KernelFamily family, long milliseconds);
    }

    private final CudaDevice device;
    private final Command command;
    private final Map<String, String> environment;

    KernelCheck(CudaDevice device) {
        this(device, (family, milliseconds) -> java(device, family, milliseconds), Map.of());
    }

    /** @param environment variables that the process gets besides its parent's */
    KernelCheck(CudaDevice device, Command command, Map<String, String> environment) {
        this.device = device;
        this.command = command;
        this.environment = environment;
    }

    /** All families that are made for the device; a third of the time each. Empty if no process could be started. */
    KernelChecks run(Duration limit) {
        KernelChecks checks = KernelChecks.NONE;
        for (KernelFamily family : TuningCandidates.families(device.facts())) {
            Map<KernelSet, Result> found = new EnumMap<>(KernelSet.class);
            ask(family, limit.dividedBy(KernelFamily.values().length), found);
            for (Map.Entry<KernelSet, Result> each : found.entrySet()) {
                checks = checks.with(new Kernels(family, each.getKey()), each.getValue());
            }
        }
        return checks;
    }

    private void ask(KernelFamily family, Duration limit, Map<KernelSet, Result> found) {
        long deadline = System.nanoTime() + limit.toNanos();
        Process process;
        try {
            List<String> words = command.of(family, (long) (limit.toMillis() * OWN_SHARE));
            ProcessBuilder builder = new ProcessBuilder(words).redirectErrorStream(true);
            builder.environment().putAll(environment);
            process = builder.start();
        } catch (IOException e) {
            found.put(FIRST, new Result(Outcome.UNCHECKED, "no process can be started: " + e.getMessage()));
            return;
        }
        try {
            process.getOutputStream().close();
            listen(process, deadline, limit, found);
        } catch (IOException e) {
            found.putIfAbsent(FIRST, new Result(Outcome.UNCHECKED, "a process of its own cannot be followed: " + e.getMessage()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            found.putIfAbsent(FIRST, new Result(Outcome.UNCHECKED, "interrupted"));
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
    }

    // ---- what it says ----

    private static final String END = "";
    /** What a process begins with. */
    private static final KernelSet FIRST = KernelSet.INT4;

    /** Puts what it says of each set of weights into {@code found}; a set that it did not come to stays out. */
    private static void listen(Process process, long deadline, Duration limit, Map<KernelSet, Result> found) throws InterruptedException {
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> {
            try (BufferedReader out = process.inputReader()) {
                out.lines().filter(line -> !line.isBlank()).forEach(lines::add);
            } catch (IOException | UncheckedIOException e) {
                lines.add(CheckProcess.UNCHECKED + e);
            }
            lines.add(END);
        }, "jmarlin check");
        reader.setDaemon(true);
        reader.start();

        KernelSet set = FIRST;
        String said = "";       // by the check itself
        String noise = "";      // by anything else, last
        while (true) {
            String line = lines.poll(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
            if (line == null) {
                found.putIfAbsent(set, late(said, limit));
                return;
            }
            if (line.equals(END)) {
                if (found.containsKey(set)) {
                    return;     // whatever keeps the process: a driver may hang while it cleans up
                }
                boolean ended = process.waitFor(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
                found.put(set, ended ? ended(said, noise, process.exitValue()) : late(said, limit));
                return;
            }
            if (!line.startsWith(CheckProcess.PREFIX)) {
                noise = line;
                continue;
            }
            said = line.substring(CheckProcess.PREFIX.length());
            if (said.startsWith(CheckProcess.SET)) {
                set = KernelSet.valueOf(said.substring(CheckProcess.SET.length()));
            }
            for (Outcome outcome : Outcome.values()) {
                String word = word(outcome);
                if (said.startsWith(word)) {
                    found.putIfAbsent(set, new Result(outcome, said.substring(word.length())));
                }
            }
        }
    }

    private static String word(Outcome outcome) {
        return switch (outcome) {
            case PASSED -> CheckProcess.PASSED;
            case FAILED -> CheckProcess.FAILED;
            case UNCHECKED -> CheckProcess.UNCHECKED;
        };
    }

    private static Result late(String said, Duration limit) {
        String seconds = limit.toMillis() / 1000.0 + " s";
        return said.startsWith(CheckProcess.TRY)
                ? new Result(Outcome.FAILED, said.substring(CheckProcess.TRY.length()) + ": no answer when " + seconds + " were over")
                : new Result(Outcome.UNCHECKED, "the " + seconds + " were over "
                        + (said.isEmpty() ? "before the device answered" : "after: " + said));
    }

    private static Result ended(String said, String noise, int exit) {
        String how = "its process ended with exit code " + exit + (noise.isEmpty() ? "" : ": " + noise);
        return said.startsWith(CheckProcess.TRY) ? new Result(Outcome.FAILED, said.substring(CheckProcess.TRY.length()) + ": " + how)
                : new Result(Outcome.UNCHECKED, said.isEmpty() ? how : how + "; after: " + said);
    }

    // ---- how it is started ----

    private static List<String> java(CudaDevice device, KernelFamily family, long milliseconds) {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), HEAP));
        System.getProperties().stringPropertyNames().stream().filter(name -> name.startsWith("jmarlin.") || INHERITED.contains(name))
                .filter(name -> !name.equals(TuningFile.PROPERTY)).sorted()
                .forEach(name -> command.add("-D" + name + "=" + System.getProperty(name)));
        command.addAll(List.of("-D" + TuningFile.PROPERTY + "=" + TuningFile.OFF, "-cp", classPath(), CheckProcess.class.getName(),
                Integer.toString(device.ordinal()), family.name(), Long.toString(milliseconds)));
        return command;
    }

    /** Where this process has its classes from: a build tool may have loaded them, whose own class path does not tell. */
    private static String classPath() {
        if (KernelCheck.class.getClassLoader() instanceof URLClassLoader loader) {
            List<String> files = new ArrayList<>();
            for (URL url : loader.getURLs()) {
                try {
                    files.add(Path.of(url.toURI()).toString());
                } catch (URISyntaxException | IllegalArgumentException e) {
                    continue;       // not of this machine's files
                }
            }
            return String.join(File.pathSeparator, files);
        }
        return System.getProperty("java.class.path");
    }
}
