package io.github.jmarlin.build;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** What a build compiles for: {@code sm_*} is machine code, {@code compute_*} PTX that a driver compiles. */
final class Targets {
    static final List<String> ALL = List.of("sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120", "compute_80", "compute_90a");
    static final List<String> PTX = ALL.stream().filter(target -> target.startsWith("compute_")).toList();
    /** The PTX versions, times ten, that a family has unless it says otherwise: what drivers of CUDA 11.4 and 12.0 read. */
    static final int PTX_OF_80 = 74;
    static final int PTX_OF_90A = 80;

    private static final Pattern CAPABILITY = Pattern.compile("(?m)^(\\d+)\\.(\\d)\\s*$");
    private static final int SECONDS_TO_ANSWER = 20;

    /** What the build is about to do. */
    enum Phase { COMPILE, TEST, PACKAGE }

    private Targets() {
    }

    /**
     * What to compile. Tests execute PTX and packages go to other machines, so both have it; whoever only compiles gets what this
     * machine's GPUs run.
     *
     * @param required whether the build is one that must have every kernel
     * @param asked {@code -Djmarlin.targets}: auto, or any of all, native, ptx and single targets, with commas between
     * @param gpus compute capabilities of this machine's GPUs, times ten
     */
    static Set<String> of(Phase phase, boolean required, String asked, List<Integer> gpus) {
        Set<String> targets = new LinkedHashSet<>();
        if (asked.equals("auto")) {
            if (required) {
                targets.addAll(ALL);
            } else {
                targets.addAll(nativeTo(gpus));
                if (phase != Phase.COMPILE || !gpus.isEmpty()) {
                    targets.addAll(PTX);
                }
            }
            return targets;
        }
        for (String word : asked.split(",")) {
            switch (word.trim()) {
                case "all" -> targets.addAll(ALL);
                case "ptx" -> targets.addAll(PTX);
                case "native" -> targets.addAll(nativeTo(gpus));
                default -> targets.add(check(word.trim(), "-Djmarlin.targets=" + asked));
            }
        }
        return targets;
    }

    static String check(String target, String where) {
        if (!ALL.contains(target)) {
            throw new KernelBuildException(where + ": " + target + " must be one of auto, all, native, ptx, " + String.join(", ", ALL));
        }
        return target;
    }

    /** The machine code that each GPU runs: of its own architecture, else of the newest older one of the same major version. */
    private static Set<String> nativeTo(List<Integer> gpus) {
        Set<String> targets = new LinkedHashSet<>();
        for (int gpu : gpus) {
            String best = null;
            for (String target : ALL) {
                if (target.startsWith("sm_")) {
                    int number = Integer.parseInt(target.replaceAll("\\D", ""));
                    boolean runs = target.endsWith("a") ? number == gpu : number / 10 == gpu / 10 && number <= gpu;
                    best = runs ? target : best;
                }
            }
            if (best != null) {
                targets.add(best);
            }
        }
        return targets;
    }

    /** Compute capabilities of this machine's GPUs, times ten; none where nvidia-smi is missing, fails or hangs. */
    static List<Integer> gpus() throws InterruptedException {
        try {
            Process process = new ProcessBuilder("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")
                    .redirectErrorStream(true).start();
            try {
                process.getOutputStream().close();
                // A line for each GPU: the pipe holds them all.
                if (!process.waitFor(SECONDS_TO_ANSWER, TimeUnit.SECONDS) || process.exitValue() != 0) {
                    return List.of();
                }
                return capabilities(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            return List.of();
        }
    }

    static List<Integer> capabilities(String answer) {
        return CAPABILITY.matcher(answer).results()
                .map(gpu -> Integer.parseInt(gpu.group(1)) * 10 + Integer.parseInt(gpu.group(2))).toList();
    }
}
