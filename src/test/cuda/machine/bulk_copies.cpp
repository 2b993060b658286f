// Bulk copies (Parallel Thread Execution ISA 9.0, 9.7.9.25.4), and mapa. The destination is poisoned when one is issued. They land, and
// read their source, when nothing else can run; with the random schedule also earlier.
#include "accesses.hpp"
#include "lanewise.hpp"
#include "mbarriers.hpp"
#include "races.hpp"

namespace jmarlin::machine {

namespace {

struct BulkCopy {
    const Instruction* at;
    Block* from;
    u32 issuer;            // global index of the thread
    Block* to;
    u32 destination;       // offset in its shared memory
    const u8* source;
    u32 bytes;
    u32 barrier;           // address in the block `to`

    bool from_neighbour() const { return to != from; }
    u32 source_offset() const { return static_cast<u32>(source - from->shared); }   // a neighbour's
};

std::vector<BulkCopy> bulk_copies;   // oldest first

std::size_t pick_bulk_copy() {
    switch (machine.options.schedule) {
        case Schedule::kRandom: return random_below(static_cast<u32>(bulk_copies.size()));
        case Schedule::kReversed: return bulk_copies.size() - 1;
        default: return 0;
    }
}

void need_16(const Warp& w, u32 lane, const Instruction& at, u64 value, const char* what) {
    if (value % 16 != 0) fail(ErrorKind::kMisaligned, w, lane, at, std::string(what) + " " + hex(value) + " is not a multiple of 16");
}

u32 shared_range(const Warp& w, u32 lane, const Instruction& at, u32 address, u32 bytes, const char* what) {
    u32 offset = (address & ((1u << kRankShift) - 1)) - kSharedBase;
    if (offset > machine.shared_bytes || bytes > machine.shared_bytes - offset)
        fail(ErrorKind::kOutOfBounds, w, lane, at, std::to_string(bytes) + " bytes of its " + what + " at shared memory byte " + std::to_string(offset) + " of " +
             std::to_string(machine.shared_bytes));
    return offset;
}

void mark_sixteens(u8* marks, u32 offset, u32 bytes, bool written) { std::memset(marks + offset / 8, written ? 0xff : 0, bytes / 8); }

/** Whether all these bytes, whole sixteens, were written. */
bool all_written(const u8* marks, u32 offset, u32 bytes) {
    for (u32 b = offset / 8; b < (offset + bytes) / 8; ++b)
        if (marks[b] != 0xff) return false;
    return true;
}

void start(const BulkCopy& copy) {
    std::memset(copy.to->shared + copy.destination, 0xff, copy.bytes);
    mark_sixteens(copy.to->written, copy.destination, copy.bytes, false);
    bulk_copies.push_back(copy);
}

struct Operands {
    u64 to[kWarpSize], from[kWarpSize], barrier[kWarpSize];
    const u32* bytes;
};

Operands operands(const Warp& w, const Instruction& i, u32 lanes) {
    Operands o;
    addresses(w, i, i.operands[0], lanes, o.to);
    addresses(w, i, i.operands[1], lanes, o.from);
    addresses(w, i, i.operands[3], lanes, o.barrier);
    need_written(w, i, lanes, written_32(w, i.operands[2]), "number of bytes");
    o.bytes = source_32(w, i.operands[2]);
    for (u32 lane : Lanes{lanes}) {
        need_16(w, lane, i, o.to[lane], "destination");
        need_16(w, lane, i, o.from[lane], "source");
        need_16(w, lane, i, o.bytes[lane], "size");
        if (o.bytes[lane] == 0) fail(ErrorKind::kBadArgument, w, lane, i, "a copy of 0 bytes");
    }
    return o;
}

/** [shared::cluster], [global], bytes, [mbarrier] {, policy} */
Next from_global(Warp& w, const Instruction& i, u32 lanes) {
    Operands o = operands(w, i, lanes);
    if (i.count == 5) check_policy(w, i, i.operands[4], lanes);
    for (u32 lane : Lanes{lanes}) {
        u32 bytes = o.bytes[lane];
        Block& to = block_of_address(w, i, 1u << lane, static_cast<u32>(o.to[lane]));
        Mbarrier& barrier = find_mbarrier(w, lane, i, static_cast<u32>(o.barrier[lane]));
        if (&to != w.block || barrier.owner != w.block) fail(ErrorKind::kBadArgument, w, lane, i, "copies from global memory into another block are not known here");
        if (!barrier.visible) report(ErrorKind::kMbarrier, w, lane, i, nullptr, "counts on an mbarrier that no fence showed to the copy engine");
        Allocation& allocation = find_allocation(o.from[lane], bytes, w, lane, i, "source of ");
        u32 offset = shared_range(w, lane, i, static_cast<u32>(o.to[lane]), bytes, "destination");
        if (machine.options.races) {
            if (allocation.words)
                for (u32 b = 0; b < bytes; b += 16) race_global(w, lane, allocation, o.from[lane] + b, 16, Kind::kRead, i);
            check_proxy(to, offset, bytes, i);
            issue_bulk_copy(w, lane, to, offset, bytes, i);
        }
        if (may_hold_mbarriers(to, offset, bytes)) check_no_mbarrier(w, lane, i, to, offset, bytes);
        start({&i, w.block, w.block->index * machine.threads + w.index * kWarpSize + lane, &to, offset, reinterpret_cast<const u8*>(o.from[lane]), bytes, barrier.address});
        if (machine.options.reads) machine.result->reads.push_back({w.block->index, o.from[lane], bytes});
    }
    return Next::kGo;
}

/** [shared::cluster], [shared::cta], bytes, [mbarrier]: into another block of the cluster. */
Next to_cluster(Warp& w, const Instruction& i, u32 lanes) {
    Operands o = operands(w, i, lanes);
    for (u32 lane : Lanes{lanes}) {
        u32 bytes = o.bytes[lane];
        u32 from = shared_range(w, lane, i, static_cast<u32>(o.from[lane]), bytes, "source");
        Block& to = block_of_address(w, i, 1u << lane, static_cast<u32>(o.to[lane]));
        u32 offset = shared_range(w, lane, i, static_cast<u32>(o.to[lane]), bytes, "destination");
        Mbarrier& barrier = find_mbarrier(w, lane, i, static_cast<u32>(o.barrier[lane]));
        if (barrier.owner != &to || &to == w.block)
            fail(ErrorKind::kBadArgument, w, lane, i, "into block " + std::to_string(to.index) + ", counted by an mbarrier of block " +
                 std::to_string(barrier.owner->index) + ": both must belong to the same other block");
        if (machine.options.races) {
            check_proxy(*w.block, from, bytes, i);
            check_proxy(to, offset, bytes, i);
            begin_source_read(w, lane, from, bytes, to, barrier.number, i);
            issue_bulk_copy(w, lane, to, offset, bytes, i);
        }
        start({&i, w.block, w.block->index * machine.threads + w.index * kWarpSize + lane, &to, offset, w.block->shared + from, bytes, barrier.address});
    }
    return Next::kGo;
}

Next prefetch(Warp& w, const Instruction& i, u32 lanes) {
    u64 from[kWarpSize];
    addresses(w, i, i.operands[0], lanes, from);
    need_written(w, i, lanes, written_32(w, i.operands[1]), "number of bytes");
    for (u32 lane : Lanes{lanes}) {
        u32 bytes = source_32(w, i.operands[1])[lane];
        need_16(w, lane, i, from[lane], "source");
        need_16(w, lane, i, bytes, "size");
        find_allocation(from[lane], bytes, w, lane, i);
        machine.result->prefetches.push_back({w.block->index, from[lane], bytes});
    }
    return Next::kGo;
}

/** mapa: the same place in the shared memory of another block of the cluster. */
Next map_address(Warp& w, const Instruction& i, u32 lanes) {
    const u32 *address = source_32(w, i.operands[1]), *rank = source_32(w, i.operands[2]);
    u32 mapped[kWarpSize] = {};
    need_written(w, i, lanes, written_32(w, i.operands[2]), "rank");
    for (u32 lane : Lanes{lanes}) {
        if (rank[lane] >= machine.cluster_size)
            fail(ErrorKind::kBadArgument, w, lane, i, "rank " + std::to_string(rank[lane]) + " of a cluster of " + std::to_string(machine.cluster_size));
        mapped[lane] = (address[lane] & ((1u << kRankShift) - 1)) | (rank[lane] + 1) << kRankShift;
    }
    store_32(w, i.operands[0], lanes, mapped, written_32(w, i.operands[1]));
    return Next::kGo;
}

/** Both blocks must be there until the end. */
bool ends_exist(const BulkCopy& copy) {
    for (const Block* block : {copy.from, copy.to}) {
        if (block->live_warps > 0) continue;
        report(ErrorKind::kExited, *copy.at, nullptr, "block " + std::to_string(block->index) + " exited while the copy at " + at_text(*copy.at) + " (" +
               thread_text(copy.issuer) + (block == copy.to ? ") wrote" : ") read") + " its shared memory");
        return false;
    }
    return true;
}

}  // namespace

void begin_bulk_copies() { bulk_copies.clear(); }

void end_bulk_copies() {
    if (bulk_copies.empty()) return;
    while (land_bulk_copy()) {}
}

bool land_bulk_copy() {
    if (bulk_copies.empty()) return false;
    std::size_t picked = pick_bulk_copy();
    BulkCopy copy = bulk_copies[picked];
    bulk_copies.erase(bulk_copies.begin() + static_cast<std::ptrdiff_t>(picked));
    if (!ends_exist(copy)) return true;
    std::memcpy(copy.to->shared + copy.destination, copy.source, copy.bytes);
    if (copy.from_neighbour() && !all_written(copy.from->written, copy.source_offset(), copy.bytes))
        std::memcpy(copy.to->written + copy.destination / 8, copy.from->written + copy.source_offset() / 8, copy.bytes / 8);
    else
        mark_sixteens(copy.to->written, copy.destination, copy.bytes, true);
    Mbarrier* barrier = mbarrier_at(*copy.to, copy.barrier);
    if (!barrier) return true;
    if (machine.options.races) {
        land_bulk_copy(*copy.to, copy.destination, copy.bytes, barrier->number, barrier->phase + 1);
        if (copy.from_neighbour()) end_source_read(*copy.from, copy.source_offset(), copy.bytes, *copy.to, barrier->number, barrier->phase + 1);
    }
    complete_bytes(*barrier, copy.bytes, copy.from_neighbour(), *copy.at);
    return true;
}

void add_bulk_copies(OpcodeTable& table) {
    const std::string base = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes";
    table.emplace(base, instruction("aara", from_global));
    table.emplace(base + ".L2::cache_hint", instruction("aarad", from_global));
    table.emplace("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes", instruction("aara", to_cluster));
    table.emplace("cp.async.bulk.prefetch.L2.global", instruction("ar", prefetch));
    table.emplace("mapa.shared::cluster.u32", instruction("Rrr", map_address));
}

}  // namespace jmarlin::machine
