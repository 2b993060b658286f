// The prefetch against what it is for: a kernel fetches into the L2 cache what the next kernel's thread blocks read first.
// The next kernel is run too, and its reads are listed. Prints "ok <case>" or "FAIL <case>: <why>"; exits 1 if one failed.
#include <cstdio>
#include <map>
#include <set>

#include "hopper/run.hpp"
#include "striped/run.hpp"

using namespace striped_test;
using jmarlin::Prefetch;

namespace {

constexpr u64 kLine = 128;
constexpr u64 kCodeBlock = 2048;
int failures = 0;

/** Lines of the L2 cache, by address. */
using Lines = std::set<u64>;

std::string place(const Prefetch& next, u64 line) {
    const u64 block = (line - next.codes) / kCodeBlock;
    return line < next.codes || block >= u64(next.strips) * u64(next.k_blocks)
               ? "outside the codes"
               : "strip " + std::to_string(block / u64(next.k_blocks)) + ", k-block " + std::to_string(block % u64(next.k_blocks));
}

/** What every block reads of the codes in its first `units` units. With one m tile a block's unit numbers only grow. */
Lines first_reads(const Result& result, const Prefetch& next) {
    std::map<u32, std::map<u64, Lines>> units;   // block -> unit -> lines
    for (const Range& read : result.reads) {
        if (read.address < next.codes || read.address >= next.codes + u64(next.strips) * u64(next.k_blocks) * kCodeBlock) continue;
        for (u64 at = read.address; at < read.address + read.bytes; at += 16) {
            const u64 block = (at - next.codes) / kCodeBlock;
            const u64 tile = block / u64(next.k_blocks) / u64(next.strips_per_tile);
            units[read.block][tile * u64(next.k_blocks) + block % u64(next.k_blocks)].insert(at / kLine * kLine);
        }
    }
    Lines lines;
    for (const auto& block : units) {
        s32 left = next.units;
        for (auto unit = block.second.begin(); unit != block.second.end() && left > 0; ++unit, --left)
            lines.insert(unit->second.begin(), unit->second.end());
    }
    return lines;
}

/** The same by the kernel's own partition: with several m tiles a block may read the same codes twice. */
Lines first_of_stripes(const Prefetch& next) {
    jmarlin::GemmArgs args{};
    args.k_blocks = next.k_blocks;
    args.n_tiles = ceil_div(next.strips, next.strips_per_tile);
    args.m_tiles = next.m_tiles;
    args.units_per_block = next.units_per_start;
    Lines lines;
    for (s32 block = 0; block < next.starts; ++block) {
        s32 left = next.units;
        for (jmarlin::Stripe stripe(args, u32(block)); !stripe.finished(); stripe.next_portion()) {
            for (s32 k = stripe.begin; k < stripe.end() && left > 0; ++k, --left) {
                for (s32 i = 0; i < next.strips_per_tile; ++i) {
                    const s32 strip = stripe.tile / next.m_tiles * next.strips_per_tile + i;
                    const u64 code_block = next.codes + (u64(strip) * u64(next.k_blocks) + u64(k)) * kCodeBlock;
                    for (u64 at = 0; at < kCodeBlock && strip < next.strips; at += kLine) lines.insert(code_block + at);
                }
            }
        }
    }
    return lines;
}

/** The first difference between what was fetched and what is wanted. Empty if none. */
std::string compare(const Result& finished, const Prefetch& next, const Lines& wanted) {
    if (!finished.ok()) return finished.errors.empty() ? "did not complete" : finished.text();
    Lines fetched;
    for (const Range& range : finished.prefetches) {
        for (u64 line = range.address; line < range.address + range.bytes; line += kLine) {
            if (!fetched.insert(line).second && next.m_tiles == 1) return place(next, line) + " is fetched twice";
        }
    }
    for (u64 line : fetched)
        if (!wanted.count(line)) return place(next, line) + " is fetched, and not read first";
    for (u64 line : wanted)
        if (!fetched.count(line)) return place(next, line) + " is read first, and not fetched";
    return wanted.empty() ? "nothing to fetch" : "";
}

template <class Shape>
void striped_kernel(jmarlin::GemmArgs args) { jmarlin::striped_gemm<Shape>(args); }

template <int kColumns>
Instance striped_instance() {
    constexpr int kBatch = kColumns == 64 ? 8 : 16;
    using Shape = jmarlin::StripedShape<Half, false, false, kBatch, kColumns>;
    return instance<Half, false, false, kBatch, kColumns>("striped", striped_kernel<Shape>);
}

template <int kM, int kN, int kNeighbours, int kSplit>
using Hopper = jmarlin::hopper::Shape<Half, false, false, kM, kN, kNeighbours, kSplit>;

Problem product(const Size& size) { return Problem(size, {false}, false, false, Values::kExact, 7); }

/** A striped kernel of `grid` blocks and a Hopper kernel of as many clusters fetch for the next one. */
void expect_fetched(const std::string& name, const Prefetch& next, const Lines& wanted) {
    for (int grid : {1, 3, 4}) {
        const Problem problem = product({2, 256, 200, -1});
        Launch striped{grid};
        striped.next = next;
        const Instance instance = striped_instance<64>();
        std::string wrong = compare(Run(instance, problem, striped).launch({}), next, wanted);
        std::printf("%s striped, grid %d, before %s%s%s\n", wrong.empty() ? "ok" : "FAIL", grid, name.c_str(),
                    wrong.empty() ? "" : ": ", wrong.c_str());
        failures += !wrong.empty();

        const Problem narrow = product({2, 2 * 128 * grid, 128, -1});     // two tiles a cluster
        hopper_test::Launch clusters{grid};
        clusters.next = next;
        wrong = compare(hopper_test::Run<Hopper<8, 128, 1, 2>>(narrow, clusters).launch({}), next, wanted);
        std::printf("%s hopper, %d clusters, before %s%s%s\n", wrong.empty() ? "ok" : "FAIL", grid, name.c_str(),
                    wrong.empty() ? "" : ": ", wrong.c_str());
        failures += !wrong.empty();
    }
}

template <int kColumns>
void before_striped(const Size& size, int grid, int units) {
    const Problem problem = product(size);
    const Instance instance = striped_instance<kColumns>();
    Run run(instance, problem, {grid});
    const Prefetch next = run.as_next(units);
    Options options;
    options.reads = true;
    const Result result = run.launch(options);
    const Lines wanted = first_of_stripes(next);
    const std::string name = "striped n=" + std::to_string(size.n) + " k=" + std::to_string(size.k) + " tile " +
                             std::to_string(kColumns) + " grid " + std::to_string(grid) + " units " + std::to_string(units);
    if (next.m_tiles == 1 && (!result.ok() || first_reads(result, next) != wanted)) {
        std::printf("FAIL %s: its blocks do not read what the stripes say\n", name.c_str());
        ++failures;
    }
    expect_fetched(name, next, wanted);
}

template <class Shape>
void before_hopper(const Size& size, int units, int clusters = 0) {
    const Problem problem = product(size);
    hopper_test::Run<Shape> run(problem, {clusters});
    const Prefetch next = run.as_next(units);
    Options options;
    options.reads = true;
    expect_fetched("hopper n=" + std::to_string(size.n) + " k=" + std::to_string(size.k) + " tile " + std::to_string(Shape::kN) +
                   " units " + std::to_string(units), next, first_reads(run.launch(options), next));
}

}  // namespace

int main() {
    before_striped<128>({3, 320, 576, -1}, 4, 3);     // five strips in tiles of two, stripes of seven, as in the drawing
    before_striped<64>({1, 200, 640, -1}, 7, 4);      // tiles of one strip
    before_striped<64>({1, 128, 1280, -1}, 2, 20);    // more lines in a run than a block has threads
    before_striped<256>({1, 520, 320, -1}, 2, 6);     // more units than a tile is deep: on into the next
    before_striped<256>({1, 100, 64, -1}, 1, 1);      // one k-block, half a tile
    before_striped<128>({1, 384, 100, -1}, 3, 2);     // all there is
    before_striped<128>({33, 320, 576, -1}, 7, 4);    // three m tiles read the same weights
    before_hopper<Hopper<8, 128, 1, 2>>({3, 320, 1024, -1}, 3);
    before_hopper<Hopper<16, 256, 1, 4>>({9, 512, 1024, -1}, 2);
    before_hopper<Hopper<16, 256, 1, 4>>({9, 520, 1024, -1}, 4);
    before_hopper<Hopper<16, 128, 2, 2>>({9, 520, 1024, -1}, 3);
    before_hopper<Hopper<8, 128, 1, 1>>({3, 320, 576, -1}, 3, 4);     // the stripes of the drawing
    before_hopper<Hopper<64, 256, 2, 1>>({9, 700, 576, -1}, 2, 3);    // stripes of pairs
    return failures != 0;
}
