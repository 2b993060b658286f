package io.github.jmarlin.cli;

import io.github.jmarlin.JMarlinException;
import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.packed.PackedLayer;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Lists what a model is made of, without reading its weights. */
@Command(name = "inspect", mixinStandardHelpOptions = true,
        description = "List the linear layers of a model, packed or not: how each is stored, and whether and how it can run.")
final class InspectCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL_DIR", description = "folder with safetensors files and configuration")
    private Path folder;

    @Mixin
    private DenseOptions dense;

    @Override
    public Integer call() throws IOException {
        Table table = PackedModel.isPacked(folder) ? packed(PackedModel.open(folder))
                : checkpoint(Checkpoint.open(folder, dense.quantization(spec)));
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.flush();
        return 0;
    }

    private Table checkpoint(Checkpoint checkpoint) {
        Table table = Table.ofText();
        Set<String> used = new HashSet<>();
        int runnable = 0;
        table.row("layer", "stored as", "k x n", "group", "act order", "zero points", "scales", "size", "runs");
        for (String name : checkpoint.layerNames()) {
            try {
                LayerSource layer = checkpoint.layer(name);
                layer.tensors().forEach(tensor -> used.add(tensor.name()));
                runnable++;
                table.row(name, layer.scheme(), layer.k() + " x " + layer.n(), group(layer), yes(layer.isActOrdered()),
                        yes(layer.hasZeroPoints()), layer.scaleType().name(), Figures.bytes(layer.bytes()),
                        how(checkpoint, layer));
            } catch (JMarlinException e) {
                table.row(name, checkpoint.scheme(), "", "", "", "", "", "", "no: " + e.getMessage());
            }
        }
        long rest = checkpoint.tensors().values().stream().filter(tensor -> !used.contains(tensor.name()))
                .mapToLong(Tensor::bytes).sum();
        return table.fact("model", checkpoint.folder() + ", " + checkpoint.scheme() + ", in " + checkpoint.files().size()
                + " files")
                .fact("layers", runnable + " of " + checkpoint.layerNames().size() + " can run")
                .fact("other tensors", Figures.bytes(rest));
    }

    private static String group(LayerSource layer) {
        return layer.fileGroupSize() == layer.k() ? "per column" : Integer.toString(layer.fileGroupSize());
    }

    private static String how(Checkpoint checkpoint, LayerSource layer) {
        if (checkpoint.isDense(layer.name())) {
            return "yes, quantized when read";
        }
        boolean repeated = layer.groupSize() > 0 && layer.groupSize() != layer.fileGroupSize();
        return "yes" + (layer.isActOrdered() ? ", activations gathered" : "")
                + (repeated ? ", scales repeated to groups of " + layer.groupSize() : "");
    }

    private static Table packed(PackedModel model) {
        Table table = Table.ofText();
        long bytes = 0;
        table.row("layer", "packed from", "k x n", "group", "act order", "zero points", "computes in", "size");
        for (PackedLayer layer : model.layers().values()) {
            long size = model.weights(layer.name()).byteSize();
            bytes += size;
            table.row(layer.name(), layer.scheme(), layer.layout().k() + " x " + layer.layout().n(),
                    layer.layout().isOneGroup() ? "per column" : Integer.toString(layer.layout().groupSize()),
                    yes(layer.actOrder()),
                    yes(layer.form().hasZeroPoints()), layer.computeType().name(), Figures.bytes(size));
        }
        return table.fact("model", model.folder() + ", packed, layout version " + model.version())
                .fact("packed from", model.source() == null ? "unknown" : model.source().toString())
                .fact("layers", model.layers().size() + ", " + Figures.bytes(bytes));
    }

    private static String yes(boolean value) {
        return value ? "yes" : "no";
    }
}
