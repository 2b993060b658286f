// The products of the striped and of the Hopper kernel: what is computed, in which order, how it is read.
#include "runner.hpp"

namespace suites {

namespace {

constexpr Schedule kSchedules[] = {Schedule::kGreedy, Schedule::kReversed, Schedule::kRoundRobin, Schedule::kRandom, Schedule::kRandom};

// ---- exact: sums without rounding, bit for bit, races on ----

// Every striped instance with every number of rows; the rest goes round.
void exact_striped(Runner& runner) {
    constexpr int kRows[] = {1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 130};
    constexpr int kColumns[] = {64, 100, 320, 129, 200, 256, 72};
    constexpr int kDepths[] = {200, 64, 1096, 100, 2120};
    constexpr int kGroups[] = {128, -1, 64, 256};
    constexpr int kGrids[] = {1, 2, 3, 4, 5, 6, 7, 8, 13};
    constexpr int kStages[] = {4, 2, 8, 3, 6, 5, 7};
    int i = 0;
    for (const Kernel& kernel : runner.kernels("striped_")) {
        for (int m : kRows) {
            const Size size{m, pick(kColumns, i), pick(kDepths, i), kernel.form.group(pick(kGroups, i + i / 44))};
            const int padding[] = {0, 8 + (8 - size.n % 8) % 8, 3};  // rows of C: as they come, aligned, unaligned
            const Launch launch{pick(kGrids, i), pick(kStages, i / 3), 8, pick(padding, i), i % 4 == 3};
            runner.product(kernel, {size, launch, pick(kSchedules, i / 2), static_cast<u64>(i), Values::kExact, i % 3 == 0,
                                    1000 + static_cast<u32>(i)});
            ++i;
        }
        // Long tiles: most stages are followed by others of their tile.
        const Size size{kernel.rows + 1, 320, 4232 * kernel.form.block_k() / 64, kernel.form.group(pick(kGroups, i))};
        runner.product(kernel, {size, {pick(kGrids, i), 2 + i % 7}, pick(kSchedules, i), static_cast<u64>(i), Values::kExact, i % 3 == 0,
                                1000 + static_cast<u32>(i)});
        ++i;
    }
}

struct Sized {
    Size size;
    Launch launch;
};

bool odd(const Size& s) { return (s.m + s.n + s.k) % 2 != 0; }

// Every path of the Hopper kernel once, under every schedule: spread rows, swizzled copies, tails of n and k, several tiles per cluster,
// the smallest ring; tiles of one stripe, of several, stripes that begin and end inside stages and groups; a neighbour without columns.
void exact_hopper(Runner& runner) {
    static const std::vector<Sized> kSplit = {{{1, 130, 1024, -1}, {0, 0}}, {{3, 200, 1000, 128}, {1, 5, 16, 3}},
                                              {{17, 64, 3840, 64}, {2, 5}},    // the ring goes round
                                              {{1, 200, 5120, 64}, {1, 5}}};   // with spread rows too
    static const std::vector<Sized> kStripes = {{{2, 256, 1472, 256}, {0, 5}}, {{16, 300, 1544, 64}, {1, 5, 0, 4}},
                                                {{13, 600, 712, 128}, {4, 5, 0, 1}}, {{20, 256, 704, 256}, {7, 0}}};
    static const std::vector<Sized> kPairs = {{{65, 136, 1864, 32}, {1, 5}}, {{64, 600, 712, 32}, {3, 5}}};
    static const std::pair<const char*, const std::vector<Sized>&> kOf[] = {
        {"hopper_f16_sym_g64_m8_n128_p1_s2", kSplit},   {"hopper_f16_sym_g64_m8_n128_p1_s4", kSplit},
        {"hopper_f16_sym_g64_m8_n128_p1_s1", kStripes},
        {"hopper_f16_zp_g64_m64_n256_p2_s1", kStripes}, {"hopper_bf16_sym_g64_m16_n256_p1_s1", kStripes},
        {"hopper_bf16_zp_g32_m64_n128_p2_s2", kPairs},  {"hopper_f16_zp_g32_m64_n256_p2_s1", kPairs}};
    for (const auto& of : kOf) {
        for (const Kernel& kernel : runner.kernels(of.first)) {
            for (const Sized& sized : of.second) {
                for (u64 i = 0; i < 5; ++i) {
                    runner.product(kernel, {sized.size, sized.launch, kSchedules[i], i, Values::kExact, odd(sized.size)});
                }
            }
            // Short, in many orders: consumers that are ahead of producers, and behind.
            const Size size{kernel.rows / 8, 128, 512, kernel.form.group(128)};
            const u64 seeds = kernel.rows == 8 ? 600 : 40;
            for (u64 seed = 1; seed <= seeds; ++seed) runner.product(kernel, {size, {1, 5}, Schedule::kRandom, seed});
        }
    }
}

/** A table of products by one kernel each. */
struct Row {
    const char* kernel;   // without "hopper_"
    Size size;
    Launch launch;
    Schedule schedule = Schedule::kGreedy;
};

template <std::size_t kCount>
void run_rows(Runner& runner, const Row (&rows)[kCount], Values values) {
    for (const Row& row : rows) {
        for (const Kernel& kernel : runner.kernels(std::string("hopper_") + row.kernel)) {
            runner.product(kernel, {row.size, row.launch, row.schedule, 5, values, odd(row.size)});
        }
    }
}

}  // namespace

void exact(Runner& runner) {
    exact_striped(runner);
    exact_hopper(runner);
}

void shapes(Runner& runner) {
    constexpr Schedule random = Schedule::kRandom;
    constexpr Launch one{1, 0}, most{0, 0};
    static const Row kRows[] = {
        {"f16_sym_g64_m8_n128_p1_s1", {5, 300, 1000, 128}, {3, 0}, random},
        {"bf16_zp_g32_m8_n128_p1_s1", {1, 264, 2048, 32}, {4, 0}},
        {"f16_sym_g64_m8_n128_p1_s2", {8, 256, 512, 128}, most},
        {"f16_zp_g64_m8_n128_p1_s4", {1, 128, 2048, 256}, most, random},
        {"bf16_zp_g32_m8_n128_p1_s4", {7, 72, 1096, 32}, {1, 0, 16, 1}},
        {"bf16_sym_g32_m16_n128_p1_s4", {9, 64, 264, 32}, most, random},
        {"f16_zp_g32_m16_n256_p1_s1", {16, 520, 224, 32}, {2, 0}},
        {"f16_zp_g64_m16_n256_p1_s2", {16, 520, 416, 256}, most},
        {"f16_zp_g64_m16_n256_p1_s4", {2, 256, 1024, 128}, most},
        {"f16_zp_g32_m16_n128_p2_s2", {2, 256, 1024, 32}, most, random},
        {"bf16_zp_g64_m32_n128_p1_s4", {33, 200, 600, 64}, {1, 0, 0, 2}, random},
        {"f16_sym_g64_m32_n256_p1_s1", {4, 512, 256, -1}, {3, 0}},
        {"f16_zp_g64_m32_n256_p1_s4", {32, 264, 1032, 256}, most},
        {"bf16_sym_g32_m32_n128_p2_s2", {30, 260, 520, 32}, one},
        {"bf16_zp_g64_m64_n128_p1_s4", {64, 130, 520, 64}, one},
        {"f16_sym_g64_m64_n256_p1_s1", {64, 320, 320, 64}, one, random},
        {"bf16_sym_g64_m64_n256_p1_s2", {130, 256, 400, -1}, {2, 0}},
        {"f16_zp_g32_m64_n256_p1_s4", {40, 256, 512, 32}, most, random},
        {"f16_sym_g32_m64_n128_p2_s2", {64, 256, 448, 32}, most},
        {"bf16_zp_g64_m64_n256_p2_s1", {130, 520, 400, -1}, {4, 0}},
        {"f16_zp_g64_m128_n128_p1_s4", {100, 136, 520, 128}, one},
        {"bf16_zp_g64_m128_n128_p2_s2", {70, 264, 520, 128}, one, random},
        {"bf16_zp_g32_m128_n256_p1_s1", {130, 300, 200, 32}, {3, 0, 8, 1}},
        {"f16_sym_g64_m128_n256_p2_s1", {256, 512, 448, 128}, {3, 0}, random},
        {"f16_sym_g64_m128_n256_p1_s2", {128, 256, 448, 128}, most, random},
        {"f16_zp_g32_m128_n256_p2_s2", {70, 320, 328, 32}, most},
        // More clusters than tiles, a k of fewer stages than the cluster has blocks, stripes of a single unit.
        {"f16_sym_g64_m8_n128_p1_s4", {5, 128, 64, 64}, {3, 0}},
        {"f16_sym_g64_m8_n128_p1_s4", {1, 1, 1, -1}, most, random},
        {"f16_sym_g64_m8_n128_p1_s1", {8, 128, 448, 64}, {7, 0}},
        {"f16_sym_g64_m64_n256_p2_s1", {3, 600, 192, 64}, {6, 0}},
        // Other forms: blocks of 128 k and of 4096 bytes, one to four scale rows a block.
        {"f16_sp24_g128_m8_n128_p1_s1", {5, 300, 1000, 128}, {3, 0}, random},
        {"bf16_sp24_g64_m8_n128_p1_s4", {1, 72, 2048, 64}, most, random},
        {"f16_sp24_g128_m16_n128_p2_s2", {2, 264, 1096, 256}, most},
        {"bf16_sp24_g128_m32_n128_p1_s4", {33, 200, 712, -1}, {1, 0, 0, 2}, random},
        {"f16_sp24_g64_m64_n128_p2_s2", {64, 130, 520, 64}, most},
        {"bf16_sp24_g128_m128_n128_p2_s2", {130, 264, 520, 128}, one, random},
        {"f16_fz_g32_m8_n128_p1_s1", {1, 264, 2048, 32}, {4, 0}},
        {"bf16_fz_g64_m16_n128_p2_s2", {9, 320, 328, 256}, most, random},
        {"bf16_fz_g32_m64_n128_p2_s2", {40, 256, 512, 32}, most},
        {"f16_i8_g16_m8_n128_p1_s4", {7, 72, 1096, 16}, {1, 0, 16, 1}, random},
        {"bf16_i8_g32_m16_n128_p2_s2", {2, 256, 1024, 32}, most},
        {"f16_i8fz_g64_m32_n128_p1_s4", {4, 200, 600, 128}, one, random},
        {"bf16_i8_g64_m64_n128_p2_s2", {64, 256, 448, -1}, most},
        {"f16_i8fz_g32_m128_n128_p2_s2", {70, 264, 520, 32}, one, random},
    };
    run_rows(runner, kRows, Values::kExact);
}

// ---- real: Gaussian data against the bounds promised to users ----

void real(Runner& runner) {
    constexpr int kGroups[] = {128, 64, -1, 256};
    int i = 0;
    for (const Kernel& kernel : runner.kernels("striped_")) {
        const bool deep = kernel.rows == 8 && kernel.columns == 64;  // the deepest layer of a 70B model
        const int group = kernel.form.group(pick(kGroups, i));
        runner.product(kernel, {deep ? Size{8, 64, 28672, group} : Size{kernel.rows + 1, 192, 1000, group}, {5, 4},
                                Schedule::kGreedy, 1, Values::kReal, true, 2000 + static_cast<u32>(i)});
        ++i;
    }
    static const Row kRows[] = {
        {"f16_sym_g64_m8_n128_p1_s1", {1, 256, 4096, -1}, {5, 0}},
        {"f16_sym_g64_m8_n128_p1_s4", {8, 128, 4096, 128}, {2, 0}},
        {"f16_zp_g64_m16_n256_p1_s4", {13, 256, 2048, 64}, {2, 0}},
        {"f16_zp_g32_m64_n128_p2_s2", {64, 256, 1024, 32}, {2, 0}},
        {"f16_sym_g64_m128_n256_p2_s1", {128, 512, 1024, 256}, {3, 0}},
        {"bf16_zp_g32_m8_n128_p1_s4", {4, 128, 2048, 32}, {2, 0}},
        {"bf16_sym_g64_m16_n256_p1_s1", {16, 256, 2048, 128}, {3, 0}},
        {"f16_sym_g64_m8_n128_p1_s4", {5, 128, 28672, 128}, {0, 0}},     // the longest k of the models' layers
        {"f16_zp_g64_m16_n256_p1_s1", {9, 256, 28672, 64}, {4, 0}},
        {"bf16_zp_g32_m64_n128_p2_s2", {17, 256, 28672, 32}, {0, 0}},
        {"f16_sp24_g128_m8_n128_p1_s4", {5, 128, 28672, 128}, {0, 0}},
        {"bf16_sp24_g64_m64_n128_p2_s2", {64, 256, 1024, 64}, {2, 0}},
        {"f16_fz_g32_m16_n128_p2_s2", {16, 256, 2048, 32}, {2, 0}},
        {"bf16_fz_g64_m8_n128_p1_s1", {4, 128, 2048, 128}, {3, 0}},
        {"f16_i8_g16_m8_n128_p1_s4", {8, 128, 4096, 16}, {2, 0}},
        {"bf16_i8fz_g32_m64_n128_p2_s2", {64, 256, 1024, 32}, {2, 0}},
    };
    run_rows(runner, kRows, Values::kReal);
}

// ---- schedules: a result's bits depend on nothing but the operands ----

namespace {

/** Runs one product in several ways, each by a number: the order, the workspace as it was left, the ring, the number of clusters. */
void same_bits(Runner& runner, const Kernel& kernel, const Size& size, const std::vector<Launch>& launches, int runs) {
    runner.run(Runner::describe(kernel, {size, launches[0]}) + ", " + std::to_string(runs) + " runs of the same bits", [&]() -> std::string {
        const Problem problem(size, {kernel.bf16}, kernel.form, true, Values::kReal, 3000);
        const std::vector<double> expected = problem.expected();
        std::vector<std::unique_ptr<Run>> ways;
        for (const Launch& launch : launches) ways.push_back(std::make_unique<Run>(kernel, problem, launch));
        std::vector<u16> first;
        for (int i = 0; i < runs; ++i) {
            Options options;
            options.schedule = static_cast<Schedule>(i % 4);
            options.seed = static_cast<u64>(i);
            options.coverage = &runner.coverage;
            Run& run = *ways[i % ways.size()];
            std::string wrong = finding(run.launch(options));
            if (wrong.empty()) wrong = run.wrong(expected, Values::kReal);
            if (!wrong.empty()) return "run " + std::to_string(i) + ": " + wrong;
            if (i == 0) first = run.output();
            if (run.output() != first) return "run " + std::to_string(i) + " gives other bits than run 0";
        }
        return "";
    });
}

}  // namespace

void schedules(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("striped_")) {
        const Size size{kernel.rows + kernel.rows / 2, 200, 520, kernel.form.group(64)};
        same_bits(runner, kernel, size, {{7, 2}}, 4);
        same_bits(runner, kernel, size, {{7, 2}, {7, 5}}, 2);
    }
    for (const Kernel& kernel : runner.kernels("hopper_f16_zp_g64_m16_n256_p1_s4"))
        same_bits(runner, kernel, {11, 520, 1160, 128}, {{0, 0}, {1, 0}, {2, 0}}, 10);
    for (const Kernel& kernel : runner.kernels("hopper_f16_zp_g64_m64_n256_p2_s1"))
        same_bits(runner, kernel, {11, 1000, 1160, 128}, {{5, 0}}, 10);
    for (const Kernel& kernel : runner.kernels("hopper_f16_sp24_g128_m16_n128_p2_s2"))
        same_bits(runner, kernel, {11, 520, 1160, 128}, {{0, 0}, {1, 0}, {2, 0}}, 10);
    for (const Kernel& kernel : runner.kernels("hopper_bf16_i8_g16_m8_n128_p1_s1"))
        same_bits(runner, kernel, {7, 300, 1160, 16}, {{5, 0}}, 10);
}

// ---- banks: no access to shared memory takes more passes than it must, none to partial tiles more sectors ----

namespace {

void count_passes(Runner& runner, const Kernel& kernel, const Size& size, const Launch& launch) {
    Options counted;
    counted.counters = true;
    runner.product(kernel, {size, launch}, " banks", &counted, [&](const Result& result) -> std::string {
        const bool from_cluster = kernel.hopper && !kernel.stripes();
        const std::vector<const char*> operations =
            !kernel.hopper ? std::vector<const char*>{"ld.shared.v4.u32", "cp.async.cg", "ldmatrix", "st.shared.v4.f32", "ld.shared.v4.f32"}
                           : std::vector<const char*>{"ld.shared.v4.u32", "ld.shared.u32", "st.shared.v2.f32",
                                                      from_cluster ? "ld.shared::cluster.v2.f32" : "ld.shared.v2.f32"};
        for (const char* operation : operations) {
            if (result.requests(operation) == 0) return std::string("no ") + operation + " was counted";
        }
        for (const SiteCounters& site : result.counters) {
            std::ostringstream text;
            const bool partial = site.operation == "st.global.v4.f32" || site.operation == "ld.global.cg.v4.f32";
            text << site.operation << " at " << site.site << ": " << site.excess << " excess of " << site.transactions << " passes, "
                 << site.sectors << " sectors for " << site.bytes << " bytes";
            if (site.excess != 0 || (partial && site.sectors * 32 != site.bytes)) return text.str();
        }
        return "";
    });
}

}  // namespace

void banks(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("striped_")) {
        count_passes(runner, kernel, {kernel.rows, 256, 512, kernel.form.group(64)}, {3, 3});
    }
    static const Row kRows[] = {
        {"f16_sym_g64_m8_n128_p1_s2", {8, 128, 1024, 128}, {0, 0}},     {"f16_sym_g64_m8_n128_p1_s4", {8, 128, 1024, 128}, {0, 0}},
        {"f16_zp_g64_m64_n256_p2_s1", {16, 256, 512, 128}, {0, 0}},     {"f16_zp_g64_m64_n256_p2_s1", {16, 256, 512, 128}, {2, 0}},
        {"bf16_sym_g64_m16_n256_p1_s1", {16, 256, 512, 128}, {0, 0}},   {"bf16_sym_g64_m16_n256_p1_s1", {16, 256, 512, 128}, {2, 0}},
        {"bf16_zp_g32_m64_n128_p2_s2", {64, 512, 512, 32}, {0, 0}},     {"f16_zp_g32_m64_n256_p2_s1", {64, 512, 512, 32}, {0, 0}},
        {"bf16_zp_g32_m128_n256_p1_s1", {128, 256, 256, 32}, {0, 0}},   {"f16_sym_g64_m16_n128_p2_s2", {16, 256, 512, 64}, {0, 0}},
        {"f16_sp24_g128_m8_n128_p1_s4", {8, 128, 1024, 128}, {0, 0}},   {"bf16_sp24_g64_m128_n128_p2_s2", {128, 256, 512, 64}, {0, 0}},
        {"f16_fz_g32_m16_n128_p2_s2", {16, 256, 512, 32}, {0, 0}},      {"bf16_i8_g16_m8_n128_p1_s1", {8, 128, 512, 16}, {2, 0}},
        {"f16_i8fz_g32_m64_n128_p2_s2", {64, 256, 512, 32}, {0, 0}},
    };
    for (const Row& row : kRows) {
        for (const Kernel& kernel : runner.kernels(std::string("hopper_") + row.kernel)) count_passes(runner, kernel, row.size, row.launch);
    }
}

// ---- once: every entry, in the short command ----

void once(Runner& runner) {
    constexpr int kColumns[] = {100, 200, 72}, kGroups[] = {128, -1, 64, 256};
    int i = 0;
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.columns == 0) continue;   // no product of packed weights
        const int rows[] = {std::max(1, kernel.rows / 8), kernel.rows + 1, kernel.rows - 1};
        const int group = kernel.form.group(pick(kGroups, i));
        const int padding[] = {0, 5};
        const Size size{pick(rows, i / 2), pick(kColumns, i), i % 2 ? 520 : 384, group};
        runner.product(kernel, {size, {2 + i % 2, kernel.least_stages(), 8, pick(padding, i)}, pick(kSchedules, i),
                                static_cast<u64>(i), Values::kExact, i % 2 == 0});
        runner.product(kernel, {{pick(rows, i), 192, 712, group}, {2, 0}, pick(kSchedules, i + 2), static_cast<u64>(i), Values::kReal});
        ++i;
    }
}

// ---- every: whatever instructions an entry has ----

void every(Runner& runner) {
    for (const Kernel& kernel : runner.kernels("striped_")) {
        const int group = kernel.form.group(64), strips = kernel.columns / 64, unit = kernel.form.block_k();
        runner.product(kernel, {{2 * kernel.rows / 3 - 1, kernel.columns, 6 * unit * kernel.depth(), group}, {1, 2}});   // two of three thirds of the rows
        // All rows of a tile, and some; every tail of columns; portions shorter than the ring, and longer.
        for (int stages = 2; stages <= 8; ++stages) {
            const int rows = stages < 5 ? kernel.rows : std::max(1, kernel.rows * (stages / 2 % 3 + 1) / 3 - 1);
            const Size size{rows, 64 * (strips + stages) + stages - 1, stages % 2 ? unit : unit + 6 + 2 * unit * kernel.depth(), group};
            const Launch launch{stages % 3 == 0 ? 1 : 2 * stages - 1, stages, 8, stages % 2 * 8, stages == 4};
            runner.product(kernel, {size, launch, pick(kSchedules, stages), static_cast<u64>(stages)});
            Launch shared{stages, 2};   // one tile, that so many blocks add up; and next to nothing to fetch
            shared.next = {0, 1, 0, 1, 1, 1, 1, 0, 2048};
            runner.product(kernel, {{kernel.rows, 64, unit * stages, group}, shared, pick(kSchedules, stages), static_cast<u64>(stages)});
        }
    }
    constexpr int kColumns[] = {100, 64, 520, 72, 300}, kDepths[] = {520, 1096, 64, 200, 1544, 384, 712};
    constexpr int kGroups[] = {128, -1, 64, 256}, kClusters[] = {0, 1, 2, 3, 5};
    int i = 0;
    for (const Kernel& kernel : runner.kernels("hopper_")) {
        Launch nothing_next{0, 5};
        nothing_next.next = {0, 1, 0, 1, 1, 1, 1, 0, 2048};
        const int group = kernel.form.group(64), columns = kernel.columns * kernel.neighbours, unit = kernel.form.block_k();
        runner.product(kernel, {{1, columns + 1, 200, group}, nothing_next, kSchedules[i % 5], 3, Values::kExact, false});   // one column, one row
        runner.product(kernel, {{1, 64, 64, group}, {2, 5}, kSchedules[i % 5], 3, Values::kExact, false});   // clusters without work
        runner.product(kernel, {{2 * kernel.rows + 1, 64, 136, group}, {1, 5}, kSchedules[i % 5], 3});     // several tiles
        const Size spread{std::max(1, kernel.rows / 8), 66, 4 * unit * kernel.depth() * kernel.split, group};
        runner.product(kernel, {spread, {1, 5}, kSchedules[i % 5], 3});
        runner.product(kernel, {{kernel.rows, 64, 64, group}, {1, 5}, kSchedules[i % 5], 3});              // blocks without a part of k
        for (int m = 17; kernel.stripes() && m < kernel.rows; m += 16) {                                     // some of the rows that are staged
            runner.product(kernel, {{m, 66, 72, group}, {1, 5}, kSchedules[i % 5], 3});
        }
        const int two_stages = unit * (2 * kernel.depth() * kernel.split - 1);    // each block two, the last one's ragged
        runner.product(kernel, {{kernel.rows * 2 / 3, 64, two_stages - 8, group}, {1, 5}, kSchedules[i % 5], 3});
        runner.product(kernel, {{kernel.rows, columns + 65, 704, group}, {2, 5}, kSchedules[i % 5], 3});
        for (int blocks = 2; blocks <= 6 && kernel.stripes(); ++blocks) {                                   // share a tile
            runner.product(kernel, {{blocks % 2 ? kernel.rows : 1, blocks % 2 ? 65 : 64, unit * blocks, group}, {blocks, 5}, kSchedules[i % 5], 3,
                                    Values::kExact, blocks < 5});
        }
        for (int m : {std::max(1, kernel.rows / 8), kernel.rows - 1, kernel.rows, 2 * kernel.rows + 3}) {
            const int depth = m <= kernel.rows / 8 ? unit * (4 + i % 23) : pick(kDepths, i);   // whole blocks: spread rows
            const int stages = kernel.least_stages() + i % (kernel.most_stages() - kernel.least_stages() + 1);
            const Size size{m, pick(kColumns, i), depth, kernel.form.group(pick(kGroups, i / 5))};
            const Launch launch{pick(kClusters, i), stages, 8, i % 3 == 0 ? 3 : 0, i % 4 == 3};
            runner.product(kernel, {size, launch, pick(kSchedules, i), static_cast<u64>(i), i % 5 == 4 ? Values::kReal : Values::kExact, i % 2 == 0});
            ++i;
        }
    }
}

}  // namespace suites
