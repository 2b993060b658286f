// A block begins: its warps' registers, its shared memory, and what the special registers say (10). What a block needs is
// taken from those that have ended, and only touched where it is used: kernels have thousands of virtual registers.
#include <sys/mman.h>

#include "clocks.hpp"
#include "races.hpp"

namespace jmarlin::machine {

namespace {

/** Pages that blocks take turns with, zero when first used. */
class Pages {
public:
    u8* take(std::size_t bytes) {
        bytes = bytes / 4096 * 4096 + 4096;
        auto& free = free_[bytes];
        if (free.empty()) {
            void* region = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (region == MAP_FAILED) throw std::bad_alloc();
            return static_cast<u8*>(region);
        }
        u8* region = free.back();
        free.pop_back();
        return region;
    }
    void give(u8* region, std::size_t bytes) {
        if (region) free_[bytes / 4096 * 4096 + 4096].push_back(region);
    }

private:
    std::map<std::size_t, std::vector<u8*>> free_;
};

Pages pages;

/** How the parts of a block's pages follow one another. */
struct Sizes {
    std::size_t values_32, values_64, flags_32, flags_64, predicates, local, per_warp, shared, written, words, readers;

    Sizes() {
        const Code& c = *machine.code;
        auto round = [](std::size_t bytes) { return (bytes + 63) / 64 * 64; };
        values_32 = round(std::size_t{c.registers_32 + 1} * kWarpSize * 4);
        values_64 = round(std::size_t{c.registers_64 + 1} * kWarpSize * 8);
        flags_32 = round(std::size_t{c.registers_32 + 1} * 4);
        flags_64 = round(std::size_t{c.registers_64 + 1} * 4);
        predicates = round(std::size_t{c.predicates + 1} * 4);
        local = round(std::size_t{c.local} * kWarpSize);
        per_warp = values_32 + values_64 + flags_32 + flags_64 + 2 * predicates + local;
        shared = machine.shared_bytes + 64;
        written = machine.shared_bytes / 8 + 8;
        words = shared_words() * sizeof(SharedWord);
        readers = std::size_t{shared_words()} * reader_entries() * sizeof(SharedReaders);
    }
};

u32 special_value(const Warp& w, Special special, u32 lane) {
    u32 rank = w.block->index % machine.cluster_size;
    switch (special) {
        case Special::kTidX: return w.index * kWarpSize + lane;
        case Special::kNtidX: return machine.threads;
        case Special::kCtaidX: return w.block->index;
        case Special::kNctaidX: return machine.grid;
        case Special::kTidY: case Special::kTidZ: case Special::kCtaidY: case Special::kCtaidZ: return 0;
        case Special::kNtidY: case Special::kNtidZ: case Special::kNctaidY: case Special::kNctaidZ: return 1;
        case Special::kLaneid: return lane;
        case Special::kWarpid: return w.index;
        case Special::kNwarpid: return machine.warps_per_block;
        case Special::kClusterCtarank: case Special::kClusterCtaidX: return rank;
        case Special::kClusterNctarank: case Special::kClusterNctaidX: return machine.cluster_size;
        case Special::kClusteridX: return w.block->index / machine.cluster_size;
        case Special::kNclusteridX: return machine.grid / machine.cluster_size;
        case Special::kLanemaskEq: return 1u << lane;
        case Special::kLanemaskLt: return (1u << lane) - 1;
        case Special::kLanemaskLe: return (2u << lane) - 1;
        case Special::kLanemaskGt: return ~((2u << lane) - 1);
        case Special::kLanemaskGe: return ~((1u << lane) - 1);
        case Special::kDynamicSharedBytes: return machine.shared_bytes - (machine.code->static_shared + 127) / 128 * 128;
    }
    return 0;
}

}  // namespace

void start_block(Block& block) {
    const Sizes sizes;
    block.started = true;
    block.registers = pages.take(sizes.per_warp * block.warps.size());
    u8* at = block.registers;
    for (Warp& w : block.warps) {
        w.r32 = reinterpret_cast<u32*>(at);
        w.r64 = reinterpret_cast<u64*>(at += sizes.values_32);
        w.written_32 = reinterpret_cast<u32*>(at += sizes.values_64);
        w.written_64 = reinterpret_cast<u32*>(at += sizes.flags_32);
        w.predicates = reinterpret_cast<u32*>(at += sizes.flags_64);
        w.written_p = reinterpret_cast<u32*>(at += sizes.predicates);
        w.local = at += sizes.predicates;
        at += sizes.local;
        std::memset(w.written_32, 0, sizes.flags_32 + sizes.flags_64 + 2 * sizes.predicates);
        w.busy.assign(machine.code->registers_32 + 1, 0);
        for (auto& special : machine.code->specials) {
            for (u32 lane = 0; lane < kWarpSize; ++lane) w.r32[special.second * kWarpSize + lane] = special_value(w, special.first, lane);
            w.written_32[special.second] = kAllLanes;
        }
    }
    block.shared = pages.take(sizes.shared);
    block.written = pages.take(sizes.written);
    std::memset(block.shared, 0xff, sizes.shared);
    std::memset(block.written, 0, sizes.written);
    if (!machine.options.races) return;
    block.words = reinterpret_cast<SharedWord*>(pages.take(sizes.words));
    block.readers = reinterpret_cast<SharedReaders*>(pages.take(sizes.readers));
    std::memset(static_cast<void*>(block.words), 0, sizes.words);
    start_clocks(block);
}

void end_block(Block& block) {
    if (!block.started) return;
    const Sizes sizes;
    pages.give(block.registers, sizes.per_warp * block.warps.size());
    pages.give(block.shared, sizes.shared);
    pages.give(block.written, sizes.written);
    pages.give(reinterpret_cast<u8*>(block.words), sizes.words);
    pages.give(reinterpret_cast<u8*>(block.readers), sizes.readers);
    block.started = false;
    block.registers = block.shared = block.written = nullptr;
    block.words = nullptr;
    block.readers = nullptr;
}

}  // namespace jmarlin::machine
