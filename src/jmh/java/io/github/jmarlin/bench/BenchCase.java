package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import io.github.jmarlin.plan.KernelFamily;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;

/**
 * One thing to find out: all contenders at one subject, in one mode.
 *
 * @param subject a layer, a block, or the device
 * @param layers the layers of the subject; none for the device
 * @param mode what the times shall contain
 * @param groupSizes group sizes that the weights of JMarlin have in turn
 * @param everyKernel whether each of JMarlin's kernels is a contender, besides its own choice
 * @param kinds of weights that JMarlin multiplies besides 4-bit integers
 * @param families of JMarlin's kernels that may run on a GPU, each asked for by name; empty: what it chooses itself, and the others beside it
 */
public record BenchCase(Subject subject, List<LayerShape> layers, TimingMode mode, List<Integer> groupSizes,
        boolean everyKernel, List<WeightKind> kinds, Set<KernelFamily> families) {
    /** With every family. */
    public BenchCase(Subject subject, List<LayerShape> layers, TimingMode mode, List<Integer> groupSizes, boolean everyKernel) {
        this(subject, layers, mode, groupSizes, everyKernel, List.of(), Set.of());
    }

    /** A single product. */
    static BenchCase layer(LayerShape shape, int m, DataType type, TimingMode mode, List<Integer> groupSizes,
            boolean everyKernel) {
        return new BenchCase(Subject.layer(shape, m, type), List.of(shape), mode, groupSizes, everyKernel);
    }

    /** A model's block. */
    static BenchCase block(ModelShapes.Model model, int m, DataType type, TimingMode mode, List<Integer> groupSizes) {
        return new BenchCase(Subject.block(model, m, type), model.layers(), mode, groupSizes, false);
    }

    /** The device's own figures in a mode. */
    static BenchCase device(TimingMode mode) {
        return new BenchCase(Subject.device(), List.of(), mode, List.of(), false);
    }

    /** The same without any kernel of another family. */
    BenchCase only(Set<KernelFamily> some) {
        return new BenchCase(subject, layers, mode, groupSizes, everyKernel, kinds, Set.copyOf(some));
    }

    /** The same with more weights, in products of one layer. */
    BenchCase with(List<WeightKind> more) {
        return subject.kind() == Subject.Kind.LAYER
                ? new BenchCase(subject, layers, mode, groupSizes, everyKernel, List.copyOf(more), families) : this;
    }

    /** Whether a family's kernels may run. */
    public boolean allows(KernelFamily family) {
        return families.isEmpty() || families.contains(family);
    }

    /** The same text for the same case. */
    public String key() {
        return subject.key() + " " + mode.key() + " " + groupSizes + (everyKernel ? " every kernel" : "")
                + (kinds.isEmpty() ? "" : " " + kinds.toString().toLowerCase(Locale.ROOT))
                + (families.isEmpty() ? "" : " " + new TreeSet<>(families).toString().toLowerCase(Locale.ROOT));
    }

    /** For progress and messages. */
    public String text() {
        return switch (subject.kind()) {
            case DEVICE -> "device, " + mode.key();
            case BLOCK -> subject.name() + " block, m " + subject.m() + ", " + subject.type() + ", " + mode.key();
            case LAYER -> subject.k() + "x" + subject.n() + ", m " + subject.m() + ", " + subject.type() + ", " + mode.key();
        };
    }
}
