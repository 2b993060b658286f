package io.github.jmarlin.build;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the build does to the text that nvcc writes; each step leaves every instruction as it is. */
final class PtxText {
    private static final Pattern VERSION = Pattern.compile("(?m)^\\.version (\\d+)\\.(\\d+)$");
    /** A hint for sanitizers, of 8.3: which bytes of a load are used. */
    private static final Pattern USED_BYTES = Pattern.compile("(?m)^\\t\\.pragma \"used_bytes_mask [^\"]*\";\\n");
    private static final Pattern LINES = Pattern.compile("(?m)^\\t\\.(?:loc|file)\\t.*\\n");
    /** The names of inlined functions that .loc lines refer to, last in the text. */
    private static final String STRINGS = "\t.section\t.debug_str\n\t{\n";

    private PtxText() {
    }

    /**
     * The same text as an older PTX version, times ten, has it: the first that a driver must read. The assembler that is given it
     * checks that the version knows all instructions.
     */
    static String lowered(String text, int version) {
        Matcher found = VERSION.matcher(text);
        if (!found.find()) {
            throw new KernelBuildException("PTX without a .version line");
        }
        if (Integer.parseInt(found.group(1)) * 10 + Integer.parseInt(found.group(2)) <= version) {
            return text;
        }
        return USED_BYTES.matcher(found.replaceFirst(".version " + version / 10 + "." + version % 10)).replaceAll("");
    }

    /** Without source lines and what belongs to them: what nvcc writes without {@code -lineinfo}, byte for byte. */
    static String withoutLines(String text) {
        String code = text;
        int strings = text.indexOf(STRINGS);
        if (strings >= 0) {
            int end = text.indexOf("\n\t}\n", strings);
            if (end < 0) {
                throw new KernelBuildException("PTX whose .debug_str does not end");
            }
            code = text.substring(0, strings) + "\n" + text.substring(end + "\n\t}\n".length());
        }
        return LINES.matcher(code).replaceAll("");
    }
}
