// What the host must know of an image: where the arguments lie, how much shared memory a launch asks for.
#include <cstddef>

#include "runner.hpp"

namespace suites {

/** The kernels place their arguments as this program, and Java, writes them. */
void abi(Runner& runner) {
#define AT(field) offsetof(GemmArgs, field)
    static const std::size_t kGemm[] = {2, sizeof(GemmArgs), AT(a), AT(codes), AT(scales), AT(zeros), AT(factors), AT(bias), AT(c),
        AT(partials), AT(counters), AT(next.codes), AT(next.k_blocks), AT(next.strips), AT(next.strips_per_tile), AT(next.m_tiles),
        AT(next.units_per_start), AT(next.starts), AT(next.units), AT(lda), AT(ldc), AT(m), AT(n), AT(k), AT(k_blocks), AT(scale_rows),
        AT(group_shift), AT(n_tiles), AT(m_tiles), AT(units_per_block), AT(stages)};
#undef AT
#define AT(field) offsetof(DequantizeArgs, field)
#define BIAS_AT(field) offsetof(BiasArgs, field)
    static const std::size_t kDequantize[] = {2, sizeof(DequantizeArgs), AT(codes), AT(scales), AT(zeros), AT(factors), AT(w), AT(ldw), AT(n),
        AT(k), AT(k_blocks), AT(scale_rows), AT(group_shift), sizeof(BiasArgs), BIAS_AT(sums), BIAS_AT(bias), BIAS_AT(c), BIAS_AT(lds),
        BIAS_AT(ldc), BIAS_AT(m), BIAS_AT(n)};
#undef AT
#define AT(field) offsetof(GatherArgs, field)
    static const std::size_t kGather[] = {1, sizeof(GatherArgs), AT(a), AT(order), AT(gathered), AT(lda), AT(ldg), AT(m), AT(k)};
#undef AT
    for (const auto& program : runner.programs) {
        const std::string first = program->entries().front().name;
        const std::string family = first.substr(0, first.find('_'));
        if (family == "probe") continue;
        runner.run("abi of " + program->name(), [&] {
            return family == "gather" ? compare_abi(*program, family, kGather)
                   : family == "dequantize" ? compare_abi(*program, family, kDequantize) : compare_abi(*program, family, kGemm);
        });
    }
}

/** Every slot of the ring in use: what the formulas ask for is enough, and 16 bytes less are not. */
void shared(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.rows == 0) continue;
        const int stages = kernel.hopper ? kernel.most_stages() : 4;
        const int columns = kernel.columns * kernel.neighbours;
        const Size size{kernel.rows, columns, 64 * kernel.depth() * kernel.split * (stages + 1), kernel.group32 ? 32 : 64};
        runner.run(kernel.name + " needs its shared memory", [&]() -> std::string {
            const Problem problem(size, {kernel.bf16}, kernel.zeros, false, Values::kExact, 5);
            Run run(kernel, problem, {1, stages});
            Options options;
            options.coverage = &runner.coverage;
            std::string wrong = finding(run.launch(options, kernel.slack()));
            if (!wrong.empty()) return "with " + std::to_string(kernel.shared_bytes(stages) - kernel.slack()) + " bytes: " + wrong;
            wrong = finding(run.launch(options, kernel.slack() + 16));
            return wrong.find("OUT OF BOUNDS") != std::string::npos ? "" : "with 16 bytes less not out of bounds, but '" + wrong + "'";
        });
    }
}

/** "tile NAME slot-bytes stages shared-bytes", for comparison with the plan's tiles. */
void tiles(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.rows == 0) continue;
        const int stages = kernel.most_stages();
        std::printf("tile %s %d %d %u\n", kernel.name.c_str(), kernel.slot_bytes(), stages, kernel.shared_bytes(stages));
        ++runner.cases;
    }
}

}  // namespace suites
