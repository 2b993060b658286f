package io.github.jmarlin.cli;

import io.github.jmarlin.checkpoint.Checkpoint;
import io.github.jmarlin.checkpoint.Survey;
import io.github.jmarlin.checkpoint.container.Tensor;
import io.github.jmarlin.checkpoint.format.LayerSource;
import io.github.jmarlin.checkpoint.format.UnclaimedTensors;
import io.github.jmarlin.checkpoint.packed.PackedLayer;
import io.github.jmarlin.checkpoint.packed.PackedModel;
import io.github.jmarlin.layout.WeightForm;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Lists what a model is made of, without reading its weights. */
@Command(name = "inspect", mixinStandardHelpOptions = true,
        description = "List the linear layers of a model, packed or not, a line for each kind: how it is stored, and whether and how "
                + "it can run; and whatever looks quantized but is no layer.",
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:done", "1:failed", "2:bad options", "3:no layer can run"})
final class InspectCommand implements Callable<Integer> {
    private static final int NOTHING_RUNS = 3;

    @Spec
    private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "MODEL", description = "folder with safetensors files and configuration, or a .gguf file")
    private Path folder;

    @Option(names = "--all", description = "a line for every layer")
    private boolean all;

    @Mixin
    private DenseOptions dense;

    /** What is printed, and whether anything of it can run. */
    private record Findings(Table table, boolean runs) {
    }

    @Override
    public Integer call() throws IOException {
        Findings findings = PackedModel.isPacked(folder) ? packed(PackedModel.open(folder))
                : checkpoint(Checkpoint.openAny(folder, dense.quantization(spec)));
        PrintWriter out = spec.commandLine().getOut();
        out.print(findings.table);
        out.flush();
        return findings.runs ? 0 : NOTHING_RUNS;
    }

    private Findings checkpoint(Checkpoint checkpoint) {
        Survey survey = checkpoint.survey();
        Table table = Table.ofText();
        table.row("layer", "number", "stored as", "k x n", "group", "act order", "zero points", "scales", "size of one", "runs");
        Kinds kinds = new Kinds(all);
        Set<String> used = new HashSet<>();
        survey.layers().forEach((name, layer) -> {
            layer.tensors().forEach(tensor -> used.add(tensor.name()));
            kinds.add(name, layer.scheme(), layer.k() + " x " + layer.n(), group(layer), yes(layer.isActOrdered()),
                    zeroPoints(layer.form()), layer.scales(), Figures.bytes(layer.bytes()), how(checkpoint, layer));
        });
        survey.refused().forEach((name, why) ->
                kinds.add(name, checkpoint.scheme(), "", "", "", "", "", "", "no: " + why.getMessage()));
        for (UnclaimedTensors module : survey.unclaimed()) {
            module.tensors().forEach(tensor -> used.add(tensor.name()));
            kinds.add(module.module(), "no layer: " + module.parts(), "", "", "", "", "", Figures.bytes(module.bytes()),
                    "no: " + module.why());
        }
        Kinds left = new Kinds(all);
        checkpoint.leftInFullPrecision().forEach((tensor, why) -> left.add(tensor, why));
        left.forEach((name, count, why) -> table.row(name, Integer.toString(count), "full precision", "", "", "", "", "", "",
                "stays: " + why[0]));
        kinds.forEach((name, count, cells) -> table.row(row(name, count, cells)));
        long rest = checkpoint.tensors().values().stream().filter(tensor -> !used.contains(tensor.name()))
                .mapToLong(Tensor::bytes).sum();
        int layers = survey.layers().size() + survey.refused().size() + survey.unclaimed().size();
        table.fact("model", checkpoint.folder() + ", " + checkpoint.scheme() + ", in " + checkpoint.files().size() + " files")
                .fact("configuration", checkpoint.configuration() == null ? "says nothing about quantization"
                        : checkpoint.configuration());
        if (checkpoint.refusal() != null) {
            table.fact("not read", checkpoint.refusal().getMessage());
        }
        int run = checkpoint.refusal() == null ? survey.layers().size() : 0;
        table.fact("layers", run + " of " + layers + " can run");
        if (!survey.unclaimed().isEmpty()) {
            table.fact("unclaimed", survey.unclaimed().size() + " modules look quantized and belong to no layer");
        }
        for (Map.Entry<String, String> file : checkpoint.leftOutFiles().entrySet()) {
            table.fact("left out", file.getKey() + ": " + file.getValue());
        }
        table.fact("other tensors", Figures.bytes(rest));
        return new Findings(table, run > 0);
    }

    private static String[] row(String name, int count, String[] cells) {
        String[] row = new String[cells.length + 2];
        row[0] = name;
        row[1] = Integer.toString(count);
        System.arraycopy(cells, 0, row, 2, cells.length);
        return row;
    }

    private static String group(LayerSource layer) {
        return layer.fileGroupSize() == layer.k() ? "per column" : Integer.toString(layer.fileGroupSize());
    }

    private static String how(Checkpoint checkpoint, LayerSource layer) {
        if (checkpoint.isDense(layer.name())) {
            return checkpoint.refusal() == null ? "yes, quantized when read" : "no: the model is not read";
        }
        boolean repeated = layer.groupSize() > 0 && layer.groupSize() != layer.fileGroupSize();
        return "yes" + (layer.isActOrdered() ? ", activations gathered" : "")
                + (repeated ? ", scales repeated to groups of " + layer.groupSize() : "");
    }

    private Findings packed(PackedModel model) {
        Table table = Table.ofText();
        long bytes = 0;
        table.row("layer", "number", "packed from", "k x n", "group", "act order", "zero points", "computes in", "size of one");
        Kinds kinds = new Kinds(all);
        for (PackedLayer layer : model.layers().values()) {
            long size = model.weights(layer.name()).byteSize();
            bytes += size;
            kinds.add(layer.name(), layer.scheme(), layer.layout().k() + " x " + layer.layout().n(),
                    layer.layout().isOneGroup() ? "per column" : Integer.toString(layer.layout().groupSize()),
                    yes(layer.actOrder()),
                    zeroPoints(layer.form()), layer.computeType().name(), Figures.bytes(size));
        }
        for (UnclaimedTensors module : model.unclaimed()) {
            kinds.add(module.module(), "carried over: " + module.parts(), "", "", "", "", "", Figures.bytes(module.bytes()));
        }
        kinds.forEach((name, count, cells) -> table.row(row(name, count, cells)));
        table.fact("model", model.folder() + ", packed, layout version " + model.version())
                .fact("packed from", model.source() == null ? "unknown" : model.source().toString())
                .fact("layers", model.layers().size() + ", " + Figures.bytes(bytes));
        if (!model.unclaimed().isEmpty()) {
            table.fact("not packed", model.unclaimed().size() + " quantized modules, as they were in the source");
        }
        return new Findings(table, !model.layers().isEmpty());
    }

    private static String zeroPoints(WeightForm form) {
        return form.hasFloatZeros() ? "floats" : yes(form.hasZeroPoints());
    }

    private static String yes(boolean value) {
        return value ? "yes" : "no";
    }
}
