// The Hopper kernel in the emulator: exact data under every schedule, real data within the accuracy bounds, bank conflicts,
// and the descriptor and fragments against words worked out by hand.
//
//   hopper_test SUITE...    exits 1 and says what was wrong, or prints one line per suite
#include <cstdio>

#include "hopper/tiles.cuh"
#include "run.hpp"

using namespace hopper_test;
using namespace jmarlin;
using striped_test::Values;

namespace {

int failures = 0;

void fail(const std::string& text) {
    std::printf("FAIL %s\n", text.c_str());
    std::fflush(stdout);
    ++failures;
}

template <class Shape>
std::string name() {
    return std::string("hopper_") + (kIsHalf<typename Shape::Element> ? "f16" : "bf16") + (Shape::kZeroPoints ? "_zp" : "_sym") +
           (Shape::kTwoScalesPerBlock ? "_g32" : "_g64") + "_m" + std::to_string(Shape::kM) + "_n" + std::to_string(Shape::kN) + "_p" +
           std::to_string(Shape::kNeighbours) + "_s" + std::to_string(Shape::kSplit);
}

std::string describe(const Size& s, const Launch& l, const Options& o) {
    const char* schedules[] = {"greedy", "reversed", "round robin", "random"};
    return " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n) + " k=" + std::to_string(s.k) + " g=" + std::to_string(s.group) +
           " clusters=" + std::to_string(l.clusters) + " stages=" + std::to_string(l.stages) + " " + schedules[int(o.schedule)] + " " +
           std::to_string(o.seed) + ": ";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool of_partial_tiles(const SiteCounters& site) {
    std::string operation = site.operation;
    return operation == "st_global_f32x4" || operation == "ld_global_cg_f32x4";
}

/** Accuracy promised to users, relative Frobenius error. */
template <class Shape>
double bound() { return kIsHalf<typename Shape::Element> ? 3e-4 : 3.5e-3; }

/** Runs and judges one case; the result's bits, for comparing runs. */
template <class Shape>
std::vector<u16> check(const Size& size, const Launch& launch, const Options& options, Values values = Values::kExact) {
    bool bias = (size.m + size.n + size.k) % 2 != 0;
    Problem problem(size, {!kIsHalf<typename Shape::Element>}, Shape::kZeroPoints, bias, values, u32(size.m * 7 + size.n * 3 + size.k));
    Run<Shape> run(problem, launch);
    Result result = run.launch(options);
    std::string wrong = result.ok() ? "" : result.errors.empty() ? "did not complete" : first_line(result.text());
    if (wrong.empty() && values == Values::kExact) wrong = run.exact(problem.expected());
    if (wrong.empty() && values == Values::kReal) {
        double error = run.error(problem.expected());
        if (!(error <= bound<Shape>())) wrong = "relative error " + std::to_string(error) + ", allowed " + std::to_string(bound<Shape>());
    }
    if (wrong.empty()) wrong = run.workspace();
    for (const SiteCounters& site : result.counters)
        if (site.excess) wrong = std::to_string(site.excess) + " excess transactions of " + site.operation + " at " + site.site;
    for (const SiteCounters& site : result.counters)
        if (of_partial_tiles(site) && site.sectors * 32 != site.bytes)
            wrong = std::to_string(site.sectors) + " sectors for " + std::to_string(site.bytes) + " bytes of " + site.operation + " at " + site.site;
    if (options.counters)
        for (const char* operation : {"ld_shared_16", "ld_shared_4", "st_shared_f32x2",
                                      Shape::kStriped ? "ld_shared_f32x2" : "ld_cluster_f32x2"})
            if (result.requests(operation) == 0) wrong = std::string("no ") + operation + " was counted";
    if (!wrong.empty()) fail(name<Shape>() + describe(size, launch, options) + wrong);
    return run.output();
}

template <class T, bool kZeros, bool kGroup32, int kM, int kN, int kNeighbours, int kSplit>
using S = jmarlin::hopper::Shape<T, kZeros, kGroup32, kM, kN, kNeighbours, kSplit>;

#ifdef JMARLIN_MUTANT
// Few instances, compiled once per mutant: between them every path. JMARLIN_MUTANT says which: 1, 2, 4 or a sum.
constexpr int kCases = JMARLIN_MUTANT;
using Small = S<Half, false, false, 8, 128, 1, 2>;
using Medium = S<Half, true, false, 64, 256, 2, 1>;
using Paired = S<Bfloat16, true, true, 64, 128, 2, 2>;
#else
constexpr int kCases = 7;
using Small = S<Half, false, false, 8, 128, 1, 4>;
using Medium = S<Bfloat16, false, false, 16, 256, 1, 1>;
using Paired = S<Half, true, true, 64, 256, 2, 1>;
#endif

Options races(Schedule schedule, u64 seed = 1) {
    Options options;
    options.schedule = schedule;
    options.seed = seed;
    options.races = true;
    return options;
}

/**
 * Every path once, with races on: spread rows, swizzled copies, tails of n and k, several tiles per cluster, the smallest ring;
 * tiles of one stripe, of several, stripes that begin and end inside stages and groups; a neighbour without columns.
 */
template <class A, class B, class C>
void exact_cases(const Options& options) {
    int least = jmarlin::hopper::kLeastStages;
    if constexpr ((kCases & 1) != 0) {
        check<A>({1, 130, 1024, -1}, {}, options);
        check<A>({3, 200, 1000, 128}, {1, least, 16, 3}, options);
        check<A>({17, 64, 3840, 64}, {2, least}, options);            // the ring goes round
    }
    if constexpr ((kCases & 2) != 0) {
        check<B>({2, 256, 1472, 256}, {0, least}, options);
        check<B>({16, 300, 1544, 64}, {1, least, 0, 4}, options);
        check<B>({13, 600, 712, 128}, {4, least, 0, 1}, options);
        check<B>({20, 256, 704, 256}, {7}, options);
    }
    if constexpr ((kCases & 4) != 0) {
        check<C>({65, 136, 1864, 32}, {1, least}, options);
        check<C>({64, 600, 712, 32}, {3, least}, options);
    }
}

void exact_suite() {
    for (Schedule schedule : {Schedule::kGreedy, Schedule::kReversed, Schedule::kRoundRobin})
        exact_cases<Small, Medium, Paired>(races(schedule));
    for (u64 seed = 1; seed <= 2; ++seed) exact_cases<Small, Medium, Paired>(races(Schedule::kRandom, seed));
}

template <class A, class B, class C>
void bank_cases(const Options& options) {
    if constexpr ((kCases & 1) != 0) check<A>({8, 128, 1024, 128}, {}, options);
    if constexpr ((kCases & 2) != 0) {
        check<B>({16, 256, 512, 128}, {}, options);
        check<B>({16, 256, 512, 128}, {2}, options);    // partial tiles
    }
    if constexpr ((kCases & 4) != 0) check<C>({64, 512, 512, 32}, {}, options);
}

/** No shared-memory access takes more passes than it must, no warp's access to partial tiles more sectors. */
void banks_suite() {
    Options options;
    options.counters = true;
    bank_cases<Small, Medium, Paired>(options);
#ifndef JMARLIN_MUTANT
    check<S<Bfloat16, true, true, 128, 256, 1, 1>>({128, 256, 256, 32}, {}, options);
    check<S<Half, false, false, 16, 128, 2, 2>>({16, 256, 512, 64}, {}, options);
#endif
}

#ifndef JMARLIN_MUTANT
void shapes_suite() {
    Options greedy = races(Schedule::kGreedy);
    Options random = races(Schedule::kRandom, 5);
    Launch one{1}, most{};
    check<S<Half, false, false, 8, 128, 1, 1>>({5, 300, 1000, 128}, {3}, random);
    check<S<Bfloat16, true, true, 8, 128, 1, 1>>({1, 264, 2048, 32}, {4}, greedy);
    check<S<Half, false, false, 8, 128, 1, 2>>({8, 256, 512, 128}, most, greedy);
    check<S<Half, true, false, 8, 128, 1, 4>>({1, 128, 2048, 256}, most, random);
    check<S<Bfloat16, true, true, 8, 128, 1, 4>>({7, 72, 1096, 32}, {1, 0, 16, 1}, greedy);
    check<S<Bfloat16, false, true, 16, 128, 1, 4>>({9, 64, 264, 32}, most, random);
    check<S<Half, true, true, 16, 256, 1, 1>>({16, 520, 224, 32}, {2}, greedy);
    check<S<Half, true, false, 16, 256, 1, 2>>({16, 520, 416, 256}, most, greedy);
    check<S<Half, true, false, 16, 256, 1, 4>>({2, 256, 1024, 128}, most, greedy);
    check<S<Half, true, true, 16, 128, 2, 2>>({2, 256, 1024, 32}, most, random);
    check<S<Bfloat16, true, false, 32, 128, 1, 4>>({33, 200, 600, 64}, {1, 0, 0, 2}, random);
    check<S<Half, false, false, 32, 256, 1, 1>>({4, 512, 256, -1}, {3}, greedy);
    check<S<Half, true, false, 32, 256, 1, 4>>({32, 264, 1032, 256}, most, greedy);
    check<S<Bfloat16, false, true, 32, 128, 2, 2>>({30, 260, 520, 32}, one, greedy);
    check<S<Bfloat16, true, false, 64, 128, 1, 4>>({64, 130, 520, 64}, one, greedy);
    check<S<Half, false, false, 64, 256, 1, 1>>({64, 320, 320, 64}, one, random);
    check<S<Bfloat16, false, false, 64, 256, 1, 2>>({130, 256, 400, -1}, {2}, greedy);
    check<S<Half, true, true, 64, 256, 1, 4>>({40, 256, 512, 32}, most, random);
    check<S<Half, false, true, 64, 128, 2, 2>>({64, 256, 448, 32}, most, greedy);
    check<S<Bfloat16, true, false, 64, 256, 2, 1>>({130, 520, 400, -1}, {4}, greedy);
    check<S<Half, true, false, 128, 128, 1, 4>>({100, 136, 520, 128}, one, greedy);
    check<S<Bfloat16, true, false, 128, 128, 2, 2>>({70, 264, 520, 128}, one, random);
    check<S<Bfloat16, true, true, 128, 256, 1, 1>>({130, 300, 200, 32}, {3, 0, 8, 1}, greedy);
    check<S<Half, false, false, 128, 256, 2, 1>>({256, 512, 448, 128}, {3}, random);
    check<S<Half, false, false, 128, 256, 1, 2>>({128, 256, 448, 128}, most, random);
    check<S<Half, true, true, 128, 256, 2, 2>>({70, 320, 328, 32}, most, greedy);
    // More clusters than tiles, a k of fewer stages than the cluster has blocks, stripes of a single unit.
    check<S<Half, false, false, 8, 128, 1, 4>>({5, 128, 64, 64}, {3}, greedy);
    check<S<Half, false, false, 8, 128, 1, 4>>({1, 1, 1, -1}, most, random);
    check<S<Half, false, false, 8, 128, 1, 1>>({8, 128, 448, 64}, {7}, greedy);
    check<S<Half, false, false, 64, 256, 2, 1>>({3, 600, 192, 64}, {6}, greedy);
}

/** A kernel that is right twice is right in the same bits: of ten runs, whatever the order and the number of clusters. */
void deterministic_suite() {
    std::vector<u16> first;
    for (int i = 0; i < 10; ++i) {
        Options options;
        options.schedule = Schedule(i % 4);
        options.seed = u64(i);
        auto bits = check<S<Half, true, false, 16, 256, 1, 4>>({11, 520, 1160, 128}, {i % 3}, options, Values::kReal);
        auto of_stripes = check<S<Half, true, false, 64, 256, 2, 1>>({11, 1000, 1160, 128}, {5}, options, Values::kReal);
        bits.insert(bits.end(), of_stripes.begin(), of_stripes.end());
        if (i == 0) first = bits;
        if (bits != first) fail("deterministic: run " + std::to_string(i) + " differs from run 0");
    }
}

void real_suite() {
    Options greedy;
    Launch two{2};
    check<S<Half, false, false, 8, 128, 1, 1>>({1, 256, 4096, -1}, {5}, greedy, Values::kReal);
    check<S<Half, false, false, 8, 128, 1, 4>>({8, 128, 4096, 128}, two, greedy, Values::kReal);
    check<S<Half, true, false, 16, 256, 1, 4>>({13, 256, 2048, 64}, two, greedy, Values::kReal);
    check<S<Half, true, true, 64, 128, 2, 2>>({64, 256, 1024, 32}, two, greedy, Values::kReal);
    check<S<Half, false, false, 128, 256, 2, 1>>({128, 512, 1024, 256}, {3}, greedy, Values::kReal);
    check<S<Bfloat16, true, true, 8, 128, 1, 4>>({4, 128, 2048, 32}, two, greedy, Values::kReal);
    check<S<Bfloat16, false, false, 16, 256, 1, 1>>({16, 256, 2048, 128}, {3}, greedy, Values::kReal);
    // The longest k of the models' layers.
    check<S<Half, false, false, 8, 128, 1, 4>>({5, 128, 28672, 128}, {}, greedy, Values::kReal);
    check<S<Half, true, false, 16, 256, 1, 1>>({9, 256, 28672, 64}, {4}, greedy, Values::kReal);
    check<S<Bfloat16, true, true, 64, 128, 2, 2>>({17, 256, 28672, 32}, {}, greedy, Values::kReal);
}

/** "name slot-bytes stages shared-bytes", for comparison with the plan's HopperTile. */
template <class Shape>
void print_shape() {
    std::printf("%s %d %d %u\n", name<Shape>().c_str(), Shape::kSlotBytes, Shape::kStages, Shape::shared_bytes(Shape::kStages));
}

template <int kM, int kN, int kNeighbours, int kSplit>
void print_tile() {
    print_shape<S<Half, false, false, kM, kN, kNeighbours, kSplit>>();
    print_shape<S<Half, true, true, kM, kN, kNeighbours, kSplit>>();
    print_shape<S<Bfloat16, true, false, kM, kN, kNeighbours, kSplit>>();
    print_shape<S<Bfloat16, false, true, kM, kN, kNeighbours, kSplit>>();
}

#define PRINT(name, ...) name<__VA_ARGS__>();
void tiles_suite() { JMARLIN_HOPPER_TILES(PRINT, print_tile) }

void expect_word(const char* what, u64 actual, u64 expected) {
    char text[160];
    std::snprintf(text, sizeof text, "%s is 0x%016llx, by hand 0x%016llx", what, actual, expected);
    if (actual != expected) fail(text);
}

void golden_suite() {
    // 9.7.15.5.1: a tile at 0x1400 -> 0x140 in bits 0-13; 1 in bit 16; 1024 / 16 = 64 = bit 38; swizzle 1 = bit 62.
    expect_word("descriptor of 0x1400", jmarlin::hopper::swizzled_descriptor(0x1400), 0x4000004000010140ull);
    expect_word("descriptor of 0x38c00", jmarlin::hopper::swizzled_descriptor(0x38c00), 0x40000040000138c0ull);
    // Row 3 (0x180 bytes on), k = 8..15 (chunk 1): chunk 1 ^ 3 = 2. Row 13 = 8 + 5: one group of 1024 on, chunk 0 ^ 5 = 5.
    expect_word("row 3, k 8", described_address(0x4000004000010140ull, 3, 1), 0x1400 + 0x180 + 2 * 16);
    expect_word("row 13, k 0", described_address(0x4000004000010140ull, 13, 0), 0x1400 + 0x400 + 5 * 0x80 + 5 * 16);
    // 32 bytes further, k = 16..31: row 6, chunks 2 ^ 6 = 4 and 3 ^ 6 = 5. Row 0 is where it would be without a swizzle.
    expect_word("row 6, k 16", described_address(0x4000004000010142ull, 6, 0), 0x1400 + 0x300 + 4 * 16);
    expect_word("row 6, k 24", described_address(0x4000004000010142ull, 6, 1), 0x1400 + 0x300 + 5 * 16);
    expect_word("row 8, k 48", described_address(0x4000004000010146ull, 8, 0), 0x1400 + 0x400 + 6 * 16);
}

/** What one warpgroup's wgmma makes of known fragments: A from registers, B from a swizzled tile written by hand. */
struct FragmentArgs { u64 out; };

void fragment_kernel(FragmentArgs args) {
    u32 tile = (dynamic_shared() + 1023) & ~1023u;
    u32 warp = warp_index(), lane = lane_index(), r = lane / 4, t = lane % 4;
    // B: row i (token) holds at k the value 1 if k == i, else 0: D[row][i] = A[row][i]. Row i, k = i, of 16-bit numbers:
    // byte 128 i + 16 ((i / 8) ^ (i % 8)) + 2 (i % 8).
    for (u32 i = lane; warp == 0 && i < 8 * 128 / 4; i += 32) st_shared_4(tile + 4 * i, 0);
    warp_sync();
    if (warp == 0 && lane < 8) st_shared_4(tile + 128 * lane + 16 * lane + 4 * (lane / 2), 0x3c00u << (16 * (lane % 2)));
    fence_proxy_async();
    block_sync();
    // A: row R, k: 16 R + k, exact in fp16.
    auto value = [&](u32 row, u32 k) { return float_to_half(16.0f * (16 * warp + row) + k); };
    auto pair = [&](u32 row, u32 k) { return value(row, k) | value(row, k + 1) << 16; };
    u32 a[4] = {pair(r, 2 * t), pair(r + 8, 2 * t), pair(r, 2 * t + 8), pair(r + 8, 2 * t + 8)};
    float d[4] = {0, 0, 0, 0};
    wgmma_fence();
    wgmma_m64k16<Half>(d, a, jmarlin::hopper::swizzled_descriptor(tile));
    wgmma_commit();
    wgmma_wait<0>();
    st_global_f32x4(args.out + thread_index() * 16, {d[0], d[1], d[2], d[3]});
}

void fragments_suite() {
    Buffer out(128 * 16, Role::kOutput);
    Options options;
    options.races = true;
    Result result = launch(fragment_kernel, 1, 128, 4096, FragmentArgs{out.address()}, options);
    if (!result.ok()) fail("fragments: " + result.text());
    // By hand: thread 37 is warp 1, lane 5: r = 1, t = 1. d0, d1: row 16 + 1, tokens 2, 3; d2, d3: row 16 + 9.
    const float by_hand[4] = {16 * 17 + 2, 16 * 17 + 3, 16 * 25 + 2, 16 * 25 + 3};
    for (int i = 0; i < 4; ++i)
        if (!(out.as<float>()[37 * 4 + i] == by_hand[i]))
            fail("fragments: d" + std::to_string(i) + " of thread 37 is " + std::to_string(out.as<float>()[37 * 4 + i]) + ", by hand " +
                 std::to_string(by_hand[i]));
}
#endif

struct Suite {
    const char* name;
    void (*run)();
};

const Suite suites[] = {
    {"exact", exact_suite}, {"banks", banks_suite},
#ifndef JMARLIN_MUTANT
    {"shapes", shapes_suite}, {"real", real_suite}, {"deterministic", deterministic_suite},
    {"golden", golden_suite}, {"tiles", tiles_suite}, {"fragments", fragments_suite},
#endif
};

}  // namespace

int main(int count, char** names) {
    int ran = 0;
    for (int i = 1; i < count; ++i) {
        for (const Suite& suite : suites) {
            if (std::string(names[i]) != suite.name) continue;
            int before = failures;
            suite.run();
            ++ran;
            std::printf("%s: %s\n", suite.name, failures == before ? "passed" : "FAILED");
        }
    }
    if (ran != count - 1 || ran == 0) {
        std::printf("usage: hopper_test SUITE...\n");
        return 2;
    }
    return failures == 0 ? 0 : 1;
}
