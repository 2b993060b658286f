package io.github.jmarlin.bench;

import io.github.jmarlin.DataType;
import java.util.List;

/**
 * One thing to find out: all contenders at one subject, in one mode.
 *
 * @param subject a layer, a block, or the device
 * @param layers the layers of the subject; none for the device
 * @param mode what the times shall contain
 * @param groupSizes group sizes that the weights of JMarlin have in turn
 * @param everyKernel whether each of JMarlin's kernels is a contender, besides its own choice
 */
public record BenchCase(Subject subject, List<LayerShape> layers, TimingMode mode, List<Integer> groupSizes,
        boolean everyKernel) {
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

    /** The same text for the same case. */
    public String key() {
        return subject.key() + " " + mode.key() + " " + groupSizes + (everyKernel ? " every kernel" : "");
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
