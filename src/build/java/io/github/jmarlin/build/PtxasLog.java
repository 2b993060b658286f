package io.github.jmarlin.build;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads what {@code ptxas -v} prints, and says what of it the kernels cannot live with. */
final class PtxasLog {

    /** What it says of one function of one image; registers and shared bytes are known of entries only. */
    record Resources(String function, String target, boolean entry, int registers, int sharedBytes, int stackBytes,
                     int spillStoreBytes, int spillLoadBytes) {
        boolean fits() {
            return stackBytes == 0 && spillStoreBytes == 0 && spillLoadBytes == 0;
        }

        String line() {
            return String.format(Locale.ROOT, "%-44s %-8s %9s %6s %5d %12d %11d%n", function, target, entry ? registers : "",
                    entry ? sharedBytes : "", stackBytes, spillStoreBytes, spillLoadBytes);
        }
    }

    static final String HEADER = String.format(Locale.ROOT, "%-44s %-8s %9s %6s %5s %12s %11s%n",
            "function", "target", "registers", "smem", "stack", "spill stores", "spill loads");

    private static final Pattern ENTRY = Pattern.compile("Compiling entry function '(\\S+)' for '(\\S+)'");
    private static final Pattern FUNCTION = Pattern.compile("Function properties for (\\S+)");
    private static final Pattern FRAME =
            Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
    private static final Pattern USED = Pattern.compile("Used (\\d+) registers");
    private static final Pattern SHARED = Pattern.compile("(\\d+)(?:\\+\\d+)? bytes smem");

    private PtxasLog() {
    }

    /** Reads the output of {@code ptxas -v}; refuses output in which an entry lacks a figure. */
    static List<Resources> parse(String log) {
        List<Resources> all = new ArrayList<>();
        String entry = null;
        String target = null;
        String function = null;
        Matcher frame = null;
        for (String line : log.lines().toList()) {
            Matcher m;
            if ((m = ENTRY.matcher(line)).find()) {
                refuseUnfinished(entry);
                entry = m.group(1);
                target = m.group(2);
                frame = null;
            } else if ((m = FUNCTION.matcher(line)).find()) {
                function = m.group(1);
            } else if ((m = FRAME.matcher(line)).find()) {
                if (function == null) {
                    throw new KernelBuildException("ptxas -v: a stack frame without a function: " + line.trim());
                } else if (function.equals(entry)) {
                    frame = m;
                } else {
                    all.add(new Resources(function, target, false, 0, 0, number(m, 1), number(m, 2), number(m, 3)));
                }
                function = null;
            } else if ((m = USED.matcher(line)).find()) {
                if (entry == null || frame == null) {
                    throw new KernelBuildException("ptxas -v: registers of no known entry: " + line.trim());
                }
                Matcher shared = SHARED.matcher(line);
                all.add(new Resources(entry, target, true, number(m, 1), shared.find() ? number(shared, 1) : 0,
                        number(frame, 1), number(frame, 2), number(frame, 3)));
                entry = null;
            }
        }
        refuseUnfinished(entry);
        return all;
    }

    private static void refuseUnfinished(String entry) {
        if (entry != null) {
            throw new KernelBuildException("ptxas -v: no registers or stack frame for entry " + entry);
        }
    }

    private static int number(Matcher m, int group) {
        return Integer.parseInt(m.group(group));
    }

    /**
     * What is wrong with an image: a spill, a stack frame, serialized tensor core instructions, no entry point at all.
     *
     * @param registers what every kernel of the image must have; -1 if any number will do
     */
    static List<String> faults(String image, String log, int registers) {
        List<String> faults = new ArrayList<>();
        List<Resources> functions = parse(log);
        if (functions.stream().noneMatch(Resources::entry)) {
            faults.add(image + " has no entry point in the output of ptxas -v");
        }
        log.lines().filter(line -> line.contains("Potential Performance Loss")).forEach(faults::add);
        for (Resources r : functions) {
            if (!r.fits()) {
                faults.add(r.function() + " for " + r.target() + ": " + r.stackBytes() + " bytes stack, " + r.spillStoreBytes()
                        + " bytes spill stores, " + r.spillLoadBytes() + " bytes spill loads; all must be 0");
            }
            if (registers >= 0 && r.entry() && r.registers() != registers) {
                faults.add(r.function() + " for " + r.target() + ": " + r.registers() + " registers, its source counts on " + registers);
            }
        }
        return faults;
    }
}
