// The kernels of probes.cu: partitions, descriptors, fragments.
#include <algorithm>
#include <random>
#include <set>

#include "runner.hpp"

namespace suites {

namespace {

struct StripesArgs {
    u64 out;
    s32 m_tiles, n_tiles, k_blocks, units_per_block, portions;
};

struct QuotientArgs {
    u64 x, out, inverse;
};

struct FragmentArgs {
    u64 b, out;
    u32 step;
};

template <class Args>
std::string probe(Runner& runner, const char* entry, const Shape& shape, const Args& args) {
    Options options;
    options.races = true;
    return finding(launch(*runner.programs.at(0), entry, shape, &args, sizeof args, options));
}

/** A line of "stripes mTiles nTiles kBlocks unitsPerBlock grid: block tile begin end slot; ..." for comparison with plan.Stripes. */
void print_stripes(Runner& runner, int m_tiles, int n_tiles, int k_blocks, int units) {
    const int grid = ceil_div(m_tiles * n_tiles * k_blocks, units), portions = units + 2;
    Buffer out(std::size_t{16} * grid * portions, Role::kOutput);
    const StripesArgs args{out.address(), m_tiles, n_tiles, k_blocks, units, portions};
    const std::string wrong = probe(runner, "probe_stripes", {static_cast<u32>(grid), 32, 0}, args);
    if (!wrong.empty()) runner.run("stripes", [&] { return wrong; });
    std::printf("stripes %d %d %d %d %d:", m_tiles, n_tiles, k_blocks, units, grid);
    for (int block = 0; block < grid; ++block) {
        for (const s32* p = out.as<s32>() + 4 * block * portions; p[0] >= 0; p += 4) std::printf(" %d %d %d %d %d;", block, p[0], p[1], p[2], p[3]);
    }
    std::printf("\n");
}

}  // namespace

void stripes(Runner& runner) {
    ++runner.cases;
    for (int m_tiles : {1, 2, 3}) {
        for (int n_tiles : {1, 2, 5}) {
            for (int k_blocks : {1, 4, 7, 13}) {
                std::set<int> lengths;
                for (int grid : {1, 2, 3, 5, 8, 132}) lengths.insert(ceil_div(m_tiles * n_tiles * k_blocks, grid));
                for (int units : lengths) print_stripes(runner, m_tiles, n_tiles, k_blocks, units);
            }
        }
    }
}

void golden(Runner& runner) {
    // 9.7.15.5.1: a tile at 0x1400 -> 0x140 in bits 0-13; 1 in bit 16; 1024 / 16 = 64 = bit 38; swizzle 1 = bit 62.
    static const std::pair<u32, u64> kWords[] = {{0x1400, 0x4000004000010140ull}, {0x38c00, 0x40000040000138c0ull}};
    for (const auto& word : kWords) {
        runner.run("descriptor of " + std::to_string(word.first), [&]() -> std::string {
            Buffer out(16, Role::kOutput);
            const std::string wrong = probe(runner, "probe_descriptor", {1, 32, 0}, FragmentArgs{0, out.address(), word.first});
            const u64 is = out.as<u64>()[0];
            return !wrong.empty() ? wrong : is == word.second ? "" : "is " + std::to_string(is) + ", by hand " + std::to_string(word.second);
        });
    }
}

// Around multiples of the divisor, up to 2^31 - 1, and anywhere.
void quotients(Runner& runner) {
    runner.run("quotients", [&]() -> std::string {
        constexpr s64 kMost = 0x7fffffff;
        std::mt19937_64 random(7);
        for (s64 d : std::initializer_list<s64>{1, 2, 3, 7, 64, 448, 641, 65535, 65537, 1 << 30, kMost - 1, kMost}) {
            for (int round = 0; round < 8; ++round) {
                std::vector<s32> x(32);
                for (int i = 0; i < 32; ++i) {
                    const s64 multiple = (round == 0 ? kMost / d : static_cast<s64>(random() % (kMost / d + 1))) * d;
                    const s64 at = i < 16 ? multiple + i % 3 - 1 : static_cast<s64>(random() % (kMost + 1));
                    x[i] = static_cast<s32>(std::max<s64>(0, std::min(at, kMost)));
                }
                const auto in = input(x);
                Buffer out(32 * 16, Role::kOutput);
                const QuotientArgs args{in->address(), out.address(), ~u64{0} / static_cast<u64>(d)};
                const std::string wrong = probe(runner, "probe_quotient", {1, 32, 0}, args);
                if (!wrong.empty()) return wrong;
                for (int i = 0; i < 32; ++i) {
                    const s32 is = out.as<s32>()[4 * i];
                    if (is != x[i] / d) {
                        return std::to_string(x[i]) + " / " + std::to_string(d) + " is " + std::to_string(is) + ", expected " +
                               std::to_string(x[i] / d);
                    }
                }
            }
        }
        return "";
    });
}

// B holds one 1, at [k][column]: then D[row][column] = A[row][k], and 0 elsewhere. Where the 1 lies in the swizzled tile, by hand:
void fragments(Runner& runner) {
    static const struct { int column, step, k, byte; } kOnes[] = {
        {3, 0, 8, 0x180 + 2 * 16},                 // row 3, chunk 1 ^ 3 = 2
        {13, 0, 0, 0x400 + 5 * 0x80 + 5 * 16},     // row 13 = 8 + 5: one group of 1024 on; chunk 0 ^ 5 = 5
        {6, 1, 0, 0x300 + 4 * 16},                 // k 16, row 6: chunk 2 ^ 6 = 4
        {6, 1, 8, 0x300 + 5 * 16},                 // k 24: chunk 3 ^ 6 = 5
        {8, 3, 1, 0x400 + 6 * 16 + 2},             // k 49, row 8: chunk 6 ^ 0, the second number of it
        {0, 0, 5, 10},                             // row 0: where it would be without a swizzle
    };
    for (const auto& one : kOnes) {
        runner.run("wgmma, a 1 in column " + std::to_string(one.column) + " at k " + std::to_string(16 * one.step + one.k), [&]() -> std::string {
            std::vector<u16> tile(1024, 0);
            tile[one.byte / 2] = 0x3c00;
            const auto b = input(tile);
            Buffer out(128 * 32, Role::kOutput);
            const FragmentArgs args{b->address(), out.address(), static_cast<u32>(one.step)};
            const std::string wrong = probe(runner, "probe_fragments", {1, 128, 4096}, args);
            if (!wrong.empty()) return wrong;
            // Lane 4r + t of warp w holds rows 16w + r and, two numbers on, 8 below; columns 2t and 2t + 1, four numbers on 8 further.
            for (int i = 0; i < 128 * 8; ++i) {
                const int thread = i / 8, d = i % 8, lane = thread % 32;
                const int row = thread / 32 * 16 + lane / 4 + d % 4 / 2 * 8, column = lane % 4 * 2 + d % 2 + d / 4 * 8;
                const float want = column == one.column ? static_cast<float>(16 * row + one.k) : 0;
                if (!(out.as<float>()[i] == want)) {
                    return "d" + std::to_string(d) + " of thread " + std::to_string(thread) + " is " + std::to_string(out.as<float>()[i]) +
                           ", by hand " + std::to_string(want);
                }
            }
            return "";
        });
    }
}

}  // namespace suites
