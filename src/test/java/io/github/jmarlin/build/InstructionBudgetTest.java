package io.github.jmarlin.build;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jmarlin.build.Targets.Phase;
import io.github.jmarlin.plan.KernelSet;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The instructions of every striped and Hopper kernel against a checked-in budget, for the compiler that it was counted with. A change that
 * costs instructions fails until the budget is changed with it:
 *
 * <pre>mvn -Plong -o test -Dtest=InstructionBudgetTest -Djmarlin.budget=write</pre>
 */
@Tag("source-tree")
class InstructionBudgetTest {
    private static final Path BUDGET = Path.of("src/test/resources/io/github/jmarlin/build/instruction-budget.txt");
    private static final String COMPILER = "# compiler: ";
    private static final String HEADER = """
            # What the striped and the Hopper kernels may consist of, counted in their machine code: tensor to bar exactly, loop to head at most
            # 2 %% more. Columns: build.InstructionCounts. Another compiler is not held to it. Rewritten by
            #   mvn -Plong -o test -Dtest=InstructionBudgetTest -Djmarlin.budget=write
            %s%s
            """;
    /** For what is not compiled for the first two, striped tiles in halves. */
    private static final String FOR_HALVES = "sm_86";
    private static final List<String> TARGETS = List.of("sm_80", "sm_90a", FOR_HALVES);
    private static final double TOLERANCE = 1.02;

    @TempDir
    Path folder;

    /** An instruction's name in the file and whether it may not change at all. */
    private enum Figure {
        TENSOR(true), HALF2(true), LDSM(true), BAR(true), LOOP(false), LDS(false), COPIES(false), BRX(false), HEAD(false);

        private final boolean exact;

        Figure(boolean exact) {
            this.exact = exact;
        }

        int of(InstructionCounts counts) {
            return switch (this) {
                case TENSOR -> counts.tensor();
                case HALF2 -> counts.half2();
                case LDSM -> counts.ldsm();
                case BAR -> counts.bar();
                case LOOP -> counts.loop();
                case LDS -> counts.lds();
                case COPIES -> counts.copies();
                case BRX -> counts.brx();
                case HEAD -> counts.head();
            };
        }

        boolean within(int counted, int budget) {
            return exact ? counted == budget : counted <= budget * TOLERANCE;
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Test
    @Tag("long")
    void noKernelCostsMoreInstructionsThanItsBudget() throws Exception {
        Nvcc nvcc = MachineCode.nvcc();
        String assembler = Assemblers.of(nvcc, System.getProperty("jmarlin.ptxas", "auto")).older().version();
        String compiler = "nvcc " + nvcc.version() + ", ptxas " + assembler;
        boolean write = System.getProperty("jmarlin.budget", "").equals("write");
        Map<String, InstructionCounts> budget = write ? Map.of() : read();
        String counted = write ? compiler : Files.readAllLines(BUDGET).stream().filter(line -> line.startsWith(COMPILER)).findFirst()
                .orElseThrow().substring(COMPILER.length());
        assumeTrue(compiler.equals(counted), () -> "the instruction budget was counted with " + counted + ", this is " + compiler);

        Map<String, InstructionCounts> kernels = count();
        if (write) {
            write(compiler, kernels);
            assumeFalse(write, () -> BUDGET + " is written: " + kernels.size() + " kernels");
        }
        assertEquals(budget.keySet(), kernels.keySet());
        List<String> faults = new ArrayList<>();
        kernels.forEach((kernel, counts) -> faults.addAll(faults(kernel, counts, budget.get(kernel))));
        assertTrue(faults.isEmpty(), () -> String.join("\n", faults));
    }

    private Map<String, InstructionCounts> count() throws Exception {
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        new KernelBuild(Phase.PACKAGE, "required", String.join(",", TARGETS), System.getProperty("jmarlin.ptxas", "auto"),
                Path.of("src/main/cuda"), Path.of("target"), folder.resolve("images"), new PrintStream(console))
                .run(System.getenv(), Nvcc.usualPlaces(), List.of());
        SortedMap<String, InstructionCounts> kernels = new TreeMap<>();
        for (Path image : KernelSources.sorted(folder.resolve("images"), file -> file.toString().endsWith(".cubin"))) {
            String[] name = image.getFileName().toString().split("\\.");
            boolean product = name[0].startsWith("striped_") || name[0].startsWith("hopper_");
            if (product && (!name[1].equals(FOR_HALVES) || name[0].contains(KernelSet.HALVES))) {
                InstructionCounts.of(image).forEach((kernel, counts) -> kernels.put(kernel + " " + name[1], counts));
            }
        }
        return kernels;
    }

    private static List<String> faults(String kernel, InstructionCounts counts, InstructionCounts budget) {
        List<String> faults = new ArrayList<>();
        for (Figure figure : Figure.values()) {
            if (!figure.within(figure.of(counts), figure.of(budget))) {
                faults.add(kernel + ": " + figure + " " + figure.of(counts) + ", its budget is " + figure.of(budget)
                        + (figure.exact ? "" : " and 2 %"));
            }
        }
        return faults;
    }

    // ---- the file ----

    private static void write(String compiler, Map<String, InstructionCounts> kernels) throws IOException {
        StringBuilder text = new StringBuilder(String.format(Locale.ROOT, HEADER, COMPILER, compiler));
        text.append(String.format(Locale.ROOT, "%-38s %-6s", "kernel", "target"));
        for (Figure figure : Figure.values()) {
            text.append(String.format(Locale.ROOT, " %6s", figure));
        }
        kernels.forEach((kernel, counts) -> {
            String[] words = kernel.split(" ");
            text.append(String.format(Locale.ROOT, "%n%-38s %-6s", words[0], words[1]));
            for (Figure figure : Figure.values()) {
                text.append(String.format(Locale.ROOT, " %6d", figure.of(counts)));
            }
        });
        Files.createDirectories(BUDGET.getParent());
        Files.writeString(BUDGET, text.append('\n'));
    }

    private static Map<String, InstructionCounts> read() throws IOException {
        return Files.readAllLines(BUDGET).stream().filter(line -> !line.startsWith("#")).skip(1).map(line -> line.split(" +"))
                .collect(Collectors.toMap(words -> words[0] + " " + words[1], words -> {
                    int[] n = List.of(words).subList(2, words.length).stream().mapToInt(Integer::parseInt).toArray();
                    return new InstructionCounts(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]);
                }, (a, b) -> {
                    throw new IllegalStateException("two lines for one kernel: " + a + ", " + b);
                }, TreeMap::new));
    }

    /** A loop of one product with a copy before it, and what may change by how much. */
    @Test
    void whatIsCountedAndWhatIsWithinTheBudget() {
        long[][] code = {
            {0xfae, 0},                             // LDGSTS
            {0x231, 0}, {0x831, 0},                 // HFMA2 with registers, with an immediate
            {0x23c, 0},                             // HMMA
            branch(-3),                             // to the second HFMA2
            branch(-6),                             // to the beginning, over no more products
        };
        ByteBuffer bytes = ByteBuffer.allocate(16 * code.length).order(ByteOrder.LITTLE_ENDIAN);
        for (long[] instruction : code) {
            bytes.putLong(instruction[0]).putLong(instruction[1]);
        }
        InstructionCounts counts = InstructionCounts.of(bytes, false);
        assertEquals(new InstructionCounts(1, 2, 0, 0, 3, 0, 1, 0, 0), counts);

        assertEquals(List.of(), faults("k", counts, counts));
        assertEquals(List.of("k: half2 2, its budget is 3"), faults("k", counts, new InstructionCounts(1, 3, 0, 0, 3, 0, 1, 0, 0)));
        assertEquals(List.of("k: loop 103, its budget is 100 and 2 %"), faults("k", new InstructionCounts(1, 2, 0, 0, 103, 0, 1, 0, 0),
                new InstructionCounts(1, 2, 0, 0, 100, 0, 1, 0, 0)));
        assertEquals(List.of(), faults("k", new InstructionCounts(1, 2, 0, 0, 102, 0, 1, 0, 0),
                new InstructionCounts(1, 2, 0, 0, 100, 0, 2, 0, 0)));
    }
    /** BRA over so many instructions, of four words each, from the next one on. */
    private static long[] branch(int instructions) {
        long words = 4L * instructions;
        return new long[] {0x947 | words << 34, words >> 30 & 0x3ffff};
    }
}
