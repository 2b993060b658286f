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
        return this == JAVA || NativeCpu.unavailableReason().isEmpty() && NativeCpu.has(number);
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
        return choose(System.getProperty(PROPERTY, ""), available(), NativeCpu.unavailableReason());
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
     */
    static Choice choose(String wanted, List<InstructionSet> available, String noNative) {
        InstructionSet best = available.get(0);
        String property = "-D" + PROPERTY + "=" + wanted;
        String whyJava = best != JAVA ? "" : noNative.isEmpty() ? "no kernels for this processor" : noNative;
        if (wanted.isEmpty()) {
            return new Choice(best, whyJava);
        }
        for (InstructionSet set : values()) {
            if (set.name().equalsIgnoreCase(wanted)) {
                String why = noNative.isEmpty() ? "this machine has " + names(available) : noNative;
                return available.contains(set) ? new Choice(set, property) : new Choice(best, property + " is ignored: " + why);
            }
        }
        return new Choice(best, property + " is ignored: one of " + names(Arrays.asList(values())) + " expected");
    }

    private static String names(List<InstructionSet> sets) {
        return sets.stream().map(set -> set.name().toLowerCase(Locale.ROOT)).collect(Collectors.joining(", "));
    }
}
