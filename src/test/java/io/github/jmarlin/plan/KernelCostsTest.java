package io.github.jmarlin.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jmarlin.DataType;
import io.github.jmarlin.bench.LayerShape;
import io.github.jmarlin.bench.ModelShapes;
import io.github.jmarlin.layout.WeightForm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The predictions in docs/kernel-costs.md are the planner's of today:
 *
 * <pre>mvn -q -o test -Dtest=KernelCostsTest -Djmarlin.documents=write</pre>
 *
 * rewrites them.
 */
@Tag("source-tree")
class KernelCostsTest {
    private static final Path DOCUMENT = Path.of("docs/kernel-costs.md");
    private static final Path SPARSE = Path.of("docs/sparse24.md");
    private static final String BEGIN = "<!-- KernelCostsTest -->\n";
    private static final String END = "<!-- end of KernelCostsTest -->\n";
    private static final int[] ROWS = {1, 16, 32, 64, 128, 256};
    private static final List<BestTileTest.Card> CARDS = List.of(BestTileTest.Card.A10, BestTileTest.Card.A100, BestTileTest.Card.RTX_3090,
            BestTileTest.Card.RTX_4090, BestTileTest.Card.H100, BestTileTest.Card.H200);

    @Test
    void theDocumentHasTodaysPredictions() throws IOException {
        check(DOCUMENT, predictions());
    }

    @Test
    void sparseWeightsArePredictedAsToday() throws IOException {
        check(SPARSE, sparsePredictions());
    }

    private static void check(Path document, String predictions) throws IOException {
        String text = Files.readString(document);
        int begin = text.indexOf(BEGIN) + BEGIN.length();
        int end = text.indexOf(END);
        if (System.getProperty("jmarlin.documents", "").equals("write")) {
            Files.writeString(document, text.substring(0, begin) + predictions + text.substring(end));
        } else {
            assertEquals(predictions, text.substring(begin, end), "rewrite it: -Djmarlin.documents=write");
        }
    }

    /** Microseconds of sparse weights, of dense ones in 4 bits, and of 16-bit weights at the rate of memory and tensor cores. */
    private static String sparsePredictions() {
        StringBuilder text = new StringBuilder();
        for (BestTileTest.Card card : List.of(BestTileTest.Card.H200, BestTileTest.Card.RTX_3090)) {
            text.append("8192 x 8192 on an ").append(card.name().replace('_', ' ')).append(":\n\n")
                    .append("| m | 2:4, us | tile, bound by | 4 bits, us | tile, bound by | 2:4 over 4 bits |\n|---|---|---|---|---|---|\n");
            for (int m : ROWS) {
                GemmPlan sparse = best(card, WeightForm.int4(128, false).withSparsity(WeightForm.Sparsity.TWO_OF_FOUR), m);
                GemmPlan dense = best(card, WeightForm.int4(128, false), m);
                text.append(String.format(Locale.ROOT, "| %d | %s | %s | %.2fx |%n", m, cell(sparse), cell(dense),
                        dense.prediction().seconds() / sparse.prediction().seconds()));
            }
            text.append('\n');
        }
        return text.toString();
    }

    private static String cell(GemmPlan plan) {
        String kernel = plan instanceof HopperPlan hopper ? "Hopper " + hopper.tile() : ((StripedPlan) plan).tile().toString();
        return String.format(Locale.ROOT, "%.1f | %s, %s", 1e6 * plan.prediction().seconds(), kernel, plan.prediction().bound());
    }

    /** The fastest of the families but dense weights. */
    private static GemmPlan best(BestTileTest.Card card, WeightForm form, int m) {
        WeightShape weights = new WeightShape(ModelShapes.SQUARE.k(), ModelShapes.SQUARE.n(), DataType.FP16, form);
        return TuningCandidates.families(card.facts()).stream().filter(family -> family != KernelFamily.DENSE)
                .map(family -> new Planner(card.facts(), weights, PlanOptions.DEFAULT.withFamily(family)).plan(m))
                .min(Comparator.comparingDouble(plan -> plan.prediction().seconds())).orElseThrow();
    }

    private static String predictions() {
        StringBuilder text = new StringBuilder();
        for (String model : List.of("Llama-3.1 8B", "Llama-3.1 70B")) {
            List<LayerShape> layers = ModelShapes.model(model).layers();
            text.append("The four linear layers of a block of ").append(model).append(", us:\n\n");
            table(text, (card, family, m) -> String.format(Locale.ROOT, "%.1f",
                    layers.stream().mapToDouble(layer -> 1e6 * plan(card, family, layer, m).prediction().seconds()).sum()));
        }
        text.append("8192 x 8192, us, the tile and what binds:\n\n");
        table(text, (card, family, m) -> {
            GemmPlan plan = plan(card, family, ModelShapes.SQUARE, m);
            String tile = plan instanceof HopperPlan hopper ? hopper.tile().toString() : ((StripedPlan) plan).tile().toString();
            return String.format(Locale.ROOT, "%.1f, %s, %s", 1e6 * plan.prediction().seconds(), tile, plan.prediction().bound());
        });
        return text.toString();
    }

    private static GemmPlan plan(BestTileTest.Card card, KernelFamily family, LayerShape layer, int m) {
        WeightShape weights = new WeightShape(layer.k(), layer.n(), 128, DataType.FP16, false);
        return new Planner(card.facts(), weights, PlanOptions.DEFAULT.withFamily(family)).plan(m);
    }

    /** A cell of the table. */
    private interface Cell {
        String of(BestTileTest.Card card, KernelFamily family, int m);
    }

    private static void table(StringBuilder text, Cell cell) {
        text.append("| card | m = ").append(IntStream.of(ROWS).mapToObj(Integer::toString).collect(Collectors.joining(" | ")))
                .append(" |\n").append("|---".repeat(ROWS.length + 1)).append("|\n");
        for (BestTileTest.Card card : CARDS) {
            for (KernelFamily family : TuningCandidates.families(card.facts())) {
                if (family != KernelFamily.DENSE) {
                    text.append("| ").append(card.name().replace('_', ' ')).append(family == KernelFamily.HOPPER ? ", Hopper kernel" : "");
                    IntStream.of(ROWS).forEach(m -> text.append(" | ").append(cell.of(card, family, m)));
                    text.append(" |\n");
                }
            }
        }
        text.append('\n');
    }
}
