// Products with an epilogue: every combination of its steps, on tiles that one block computes and tiles that several add up.
#include "runner.hpp"

namespace suites {

namespace {

constexpr Schedule kSchedules[] = {Schedule::kGreedy, Schedule::kReversed, Schedule::kRoundRobin, Schedule::kRandom, Schedule::kRandom};
constexpr int kColumns[] = {64, 100, 322, 130, 200, 256, 72};   // pairs of them: 161 and 65 outputs
constexpr int kGroups[] = {128, -1, 64, 256};
constexpr int kLdPaddings[] = {0, 8, 3};

/** One case; i turns everything that must not matter. */
void run(Runner& runner, const Kernel& kernel, int m, bool shared, Epilogue epilogue, int i) {
    epilogue.ldr_padding = pick(kLdPaddings, i / 2);
    epilogue.unaligned = i % 5 == 4;
    // Several blocks to a tile: more starts than tiles, or a cluster; else as many starts as tiles.
    const int n = pick(kColumns, i), k = shared ? kernel.form.block_k() * kernel.depth() * 4 : 200;
    const int tiles = ceil_div(n, kernel.columns * kernel.neighbours) * ceil_div(m, kernel.rows);
    Launch launch{!kernel.stripes() ? i % 3 : shared ? 3 * tiles : tiles, kernel.least_stages() + i % 2, 8, pick(kLdPaddings, i / 3), i % 4 == 3};
    launch.epilogue = epilogue;
    runner.product(kernel, {{m, n, k, kernel.form.group(pick(kGroups, i))}, launch, pick(kSchedules, i), static_cast<u64>(i),
                            Values::kExact, i % 2 == 0});
}

}  // namespace

/** Some for every entry: all combinations together, and every kind of tile. */
void finish(Runner& runner) {
    const std::vector<Epilogue> all = Epilogue::all();
    int i = 0;
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.columns == 0) continue;   // no product of packed weights
        for (int time = 0; time < 3; ++time, ++i) {
            run(runner, kernel, time == 0 ? 1 : time == 1 ? kernel.rows : kernel.rows + 2, time != 1, all[(i * 7 + 1) % all.size()], i);
        }
    }
}

/** All for one instance of each kind of tile, and every number of rows; then all for every entry, on few columns. */
void epilogues(Runner& runner) {
    static const char* const kEntries[] = {"striped_f16_sym_g64_m8_n64", "striped_bf16_zp_g32_m16_n128", "striped_f16_zp_g64_m64_n256",
        "hopper_f16_sym_g64_m8_n128_p1_s4", "hopper_bf16_zp_g32_m16_n256_p1_s1", "hopper_f16_zp_g64_m64_n256_p2_s1",
        "hopper_f16_sym_g32_m64_n128_p2_s2", "hopper_bf16_sym_g64_m128_n256_p1_s2"};
    constexpr int kRows[] = {1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 130};
    int i = 0;
    for (const char* entry : kEntries) {
        for (const Kernel& kernel : runner.kernels(entry)) {
            if (kernel.name != entry) continue;
            for (const Epilogue& epilogue : Epilogue::all()) {
                for (int m : kRows) {
                    for (bool shared : {false, true}) run(runner, kernel, m, shared, epilogue, i++);
                }
            }
        }
    }
    constexpr int kTails[] = {66, 72, 68, 70, 2};   // of eight columns 2, 8, 4, 6, and no strip but a part of one
    for (const Kernel& kernel : runner.kernels("")) {
        if (kernel.columns == 0) continue;   // no product of packed weights
        auto few = [&](const Epilogue& epilogue, bool shared, int n, bool unaligned_c) {
            Launch launch{kernel.stripes() ? shared ? 3 : 1 : 0, kernel.least_stages(), 8, i % 4 == 1 ? 8 - n % 8 : 0, unaligned_c};
            launch.epilogue = epilogue;
            const int k = shared ? kernel.form.block_k() * kernel.depth() * 3 : 72;
            runner.product(kernel, {{shared ? kernel.rows : 1, n, k, kernel.form.group(64)}, launch, pick(kSchedules, i), static_cast<u64>(i),
                                    Values::kExact, i % 2 == 0}, " few");
            ++i;
        };
        for (bool shared : {false, true}) {
            for (Epilogue epilogue : Epilogue::all()) {
                epilogue.unaligned = i % 3 == 2;
                few(epilogue, shared, pick(kTails, i), false);
            }
            for (u32 wide : {0u, u32{kFloatOutput}}) few({kAddResidual | wide, false, 0, true}, shared, 72, true);   // each element by itself
        }
    }
}

}  // namespace suites
