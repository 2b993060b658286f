package io.github.jmarlin.cpu;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What a product on the processor is computed with. All but {@link #JAVA} are kernels of the native library and give the same bits;
 * Java's differ in the last ones.
 */
enum InstructionSet {
    /** Tiles of byte dot products, from five rows on; AVX-512 VNNI below. */
    AMX("AMX", 3),
    /** 512-bit vectors with byte dot products. */
    VNNI("AVX-512 VNNI", 1),
    /** 256-bit vectors. */
    AVX2("AVX2", 0),
    /** Arm's 128-bit vectors with byte dot products. */
    NEON("NEON dot products", 2),
    /** Plain Java: the reference and what every machine has. */
    JAVA("Java", -1);

    /** What forces one. */
    static final String PROPERTY = "jmarlin.cpu";

    private final String title;
    /** The number in product.h. */
    private final int number;

    InstructionSet(String title, int number) {
        this.title = title;
        this.number = number;
    }

    /** What a person calls it. */
    String title() {
        return title;
    }

    int number() {
        return number;
    }

    /** Whether this machine can compute with it. */
    boolean isAvailable() {
        return this == JAVA || NativeCpu.unavailableReason().isEmpty() && NativeCpu.state(number) == 0;
    }

    /**
     * An instruction set and why it.
     *
     * @param why empty if nothing is to be said: it is the best that there is
     */
    record Choice(InstructionSet set, String why) {
    }

    /** The fastest of this machine, or the one that the property names; never fails. */
    static Choice best() {
        int amx = NativeCpu.unavailableReason().isEmpty() ? NativeCpu.state(AMX.number) : 0;
        return choose(System.getProperty(PROPERTY, ""), available(), NativeCpu.unavailableReason(), amxRefusal(amx));
    }

    /** Why AMX is not used where the processor has it, by {@code enum state} in amx.h; else empty. */
    static String amxRefusal(int state) {
        return switch (state) {
            case 2 -> "no AMX: the operating system does not keep its registers";
            case 3 -> "no AMX: the operating system does not let this process use its registers";
            case 4 -> "no AMX: its first products were wrong";
            default -> "";
        };
    }

    /** All that this machine has, the fastest first. */
    static List<InstructionSet> available() {
        return Arrays.stream(values()).filter(InstructionSet::isAvailable).toList();
    }

    /**
     * The choice, as a function of what it depends on.
     *
     * @param wanted the property, empty if none is wanted
     * @param available the fastest first, Java among them
     * @param noNative why there is no native library, or empty
     * @param noAmx why AMX is not used where the processor has it, or empty
     */
    static Choice choose(String wanted, List<InstructionSet> available, String noNative, String noAmx) {
        InstructionSet best = available.get(0);
        String property = "-D" + PROPERTY + "=" + wanted;
        String whyJava = best != JAVA ? "" : noNative.isEmpty() ? "no kernels for this processor" : noNative;
        if (wanted.isEmpty()) {
            return new Choice(best, best == JAVA ? whyJava : noAmx);
        }
        for (InstructionSet set : values()) {
            if (set.name().equalsIgnoreCase(wanted)) {
                String noSet = set == AMX && !noAmx.isEmpty() ? noAmx : "this machine has " + names(available);
                String why = noNative.isEmpty() ? noSet : noNative;
                return available.contains(set) ? new Choice(set, property) : new Choice(best, property + " is ignored: " + why);
            }
        }
        return new Choice(best, property + " is ignored: one of " + names(Arrays.asList(values())) + " expected");
    }

    private static String names(List<InstructionSet> sets) {
        return sets.stream().map(set -> set.name().toLowerCase(Locale.ROOT)).collect(Collectors.joining(", "));
    }
}
