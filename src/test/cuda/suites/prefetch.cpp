// What a kernel fetches into the L2 cache is what the next kernel's thread blocks read first: the next one is run too, and its
// reads are listed.
#include <map>
#include <set>

#include "runner.hpp"

namespace suites {

namespace {

constexpr u64 kLine = 128;

/** Lines of the L2 cache, by address. */
using Lines = std::set<u64>;

std::string place(const Prefetch& next, u64 line) {
    const u64 block = (line - next.codes) / u64(next.block_bytes);
    return line < next.codes || block >= u64(next.strips) * u64(next.k_blocks)
               ? "outside the codes"
               : "strip " + std::to_string(block / u64(next.k_blocks)) + ", k-block " + std::to_string(block % u64(next.k_blocks));
}

/** What every block reads of the codes in its first `units` units. With one m tile a block's unit numbers only grow. */
Lines first_reads(const Result& result, const Prefetch& next) {
    std::map<u32, std::map<u64, Lines>> units;   // block -> unit -> lines
    for (const Range& read : result.reads) {
        if (read.address < next.codes || read.address >= next.codes + u64(next.strips) * u64(next.k_blocks) * u64(next.block_bytes)) continue;
        for (u64 at = read.address; at < read.address + read.bytes; at += 16) {
            const u64 block = (at - next.codes) / u64(next.block_bytes);
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

/** The same by the stripes, unit by unit: with several m tiles a block may read the same codes twice. */
Lines first_of_stripes(const Prefetch& next) {
    Lines lines;
    const s32 tiles = ceil_div(next.strips, next.strips_per_tile) * next.m_tiles;
    for (s32 start = 0; start < next.starts; ++start) {
        const s32 first = start * next.units_per_start;
        const s32 end = std::min({first + next.units, first + next.units_per_start, tiles * next.k_blocks});
        for (s32 unit = first; unit < end; ++unit) {
            for (s32 i = 0; i < next.strips_per_tile; ++i) {
                const s32 strip = unit / next.k_blocks / next.m_tiles * next.strips_per_tile + i;
                const u64 code_block = next.codes + (u64(strip) * u64(next.k_blocks) + u64(unit % next.k_blocks)) * u64(next.block_bytes);
                for (u64 at = 0; at < u64(next.block_bytes) && strip < next.strips; at += kLine) lines.insert(code_block + at);
            }
        }
    }
    return lines;
}

/** The first difference between what was fetched and what is wanted. Empty if none. */
std::string compare(const Result& finished, const Prefetch& next, const Lines& wanted) {
    if (!finished.ok()) return finding(finished);
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

Problem product(const Kernel& kernel, const Size& size) { return Problem(size, {kernel.bf16}, kernel.form, false, Values::kExact, 7); }

struct Kernels {
    Runner& runner;
    std::vector<Kernel> all = runner.kernels("");

    const Kernel& operator[](const std::string& name) const {
        for (const Kernel& kernel : all)
            if (kernel.name == name) return kernel;
        throw std::runtime_error("no entry " + name);
    }
};

/** Striped kernels of `starts` blocks and a Hopper kernel of as many clusters fetch for the next one, whatever its blocks are. */
void expect_fetched(const Kernels& kernels, const std::string& name, const Prefetch& next, const Lines& wanted) {
    for (int starts : {1, 3, 4}) {
        for (const char* entry : {"striped_f16_sym_g64_m8_n64", "striped_f16_sp24_g128_m16_n256", "hopper_f16_sym_g64_m8_n128_p1_s2"}) {
            const Kernel& kernel = kernels[entry];
            kernels.runner.run(kernel.name + ", " + std::to_string(starts) + " starts, before " + name, [&] {
                const Problem problem = product(kernel, kernel.hopper ? Size{2, 2 * 128 * starts, 128, -1} : Size{2, 256, 200, -1});
                Launch launch{starts, kernel.hopper ? 0 : 3};
                launch.next = next;
                return compare(Run(kernel, problem, launch).launch({}), next, wanted);
            });
        }
    }
}

void before(const Kernels& kernels, const std::string& entry, const Size& size, int starts, int units) {
    const Kernel& kernel = kernels[entry];
    const Problem problem = product(kernel, size);
    Run run(kernel, problem, {starts, kernel.hopper ? 0 : 3});
    const Prefetch next = run.as_next(units);
    Options options;
    options.reads = true;
    const Result result = run.launch(options);
    std::ostringstream name;
    name << entry << " n=" << size.n << " k=" << size.k << " starts " << starts << " units " << units;
    Lines wanted = first_reads(result, next);
    if (!result.ok() || (kernel.stripes() && next.m_tiles == 1 && wanted != first_of_stripes(next))) {
        kernels.runner.run(name.str(), [&] { return result.ok() ? "its blocks do not read what the stripes say" : finding(result); });
    }
    if (kernel.stripes()) wanted = first_of_stripes(next);
    expect_fetched(kernels, name.str(), next, wanted);
}

}  // namespace

void prefetch(Runner& runner) {
    const Kernels kernels{runner};
    before(kernels, "striped_f16_sym_g64_m16_n128", {3, 320, 576, -1}, 4, 3);    // five strips, tiles of two, stripes of seven: the drawing
    before(kernels, "striped_f16_sym_g64_m8_n64", {1, 200, 640, -1}, 7, 4);      // tiles of one strip
    before(kernels, "striped_f16_sym_g64_m8_n64", {1, 128, 1280, -1}, 2, 20);    // more lines in a run than a block has threads
    before(kernels, "striped_f16_sym_g64_m16_n256", {1, 520, 320, -1}, 2, 6);    // more units than a tile is deep: on into the next
    before(kernels, "striped_f16_sym_g64_m16_n256", {1, 100, 64, -1}, 1, 1);     // one k-block, half a tile
    before(kernels, "striped_f16_sym_g64_m16_n128", {1, 384, 100, -1}, 3, 2);    // all there is
    before(kernels, "striped_f16_sym_g64_m16_n128", {33, 320, 576, -1}, 7, 4);   // three m tiles read the same weights
    before(kernels, "striped_f16_sp24_g128_m16_n256", {3, 1300, 1152, 256}, 4, 3);   // the drawing with larger blocks, and tiles of four strips
    before(kernels, "striped_f16_sp24_g128_m16_n256", {1, 200, 1280, -1}, 3, 4);     // all there is
    before(kernels, "hopper_f16_sym_g64_m8_n128_p1_s2", {3, 320, 1024, -1}, 0, 3);
    before(kernels, "hopper_f16_sym_g64_m16_n256_p1_s4", {9, 512, 1024, -1}, 0, 2);
    before(kernels, "hopper_f16_sym_g64_m16_n256_p1_s4", {9, 520, 1024, -1}, 0, 4);
    before(kernels, "hopper_f16_sym_g64_m16_n128_p2_s2", {9, 520, 1024, -1}, 0, 3);
    before(kernels, "hopper_f16_sym_g64_m8_n128_p1_s1", {3, 320, 576, -1}, 4, 3);     // the stripes of the drawing
    before(kernels, "hopper_f16_sym_g64_m64_n256_p2_s1", {9, 700, 576, -1}, 3, 2);    // stripes of pairs
}

}  // namespace suites
