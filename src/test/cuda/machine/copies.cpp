// cp.async (Parallel Thread Execution ISA 9.0, 9.7.9.25.3): the destination is poisoned when the copy is issued and filled at the
// wait that guarantees it.
#include <algorithm>

#include "accesses.hpp"
#include "lanewise.hpp"
#include "races.hpp"

namespace jmarlin::machine {

namespace {

void deliver(Warp& w, const PendingCopy& copy, u32 lanes) {
    for (u32 lane : Lanes{lanes}) {
        u32 offset = copy.destination[lane];
        u8* to = w.block->shared + offset;
        std::memset(to, 0, copy.bytes);
        std::memcpy(to, reinterpret_cast<const void*>(copy.source[lane]), copy.valid[lane]);
        set_marks(w.block->written, offset, (1u << copy.bytes) - 1, copy.bytes);
        if (machine.options.races) complete_copy(w, lane, offset, copy.bytes);
    }
}

enum Form { kPlain = 0, kPolicy = 1, kZeroFill = 2 };

/** cp.async [shared], [global], bytes {, source bytes} {, policy} */
Next issue(Warp& w, const Instruction& i, u32 lanes) {
    const Operand* o = i.operands;
    u32 bytes = static_cast<u32>(o[2].offset);
    bool cg = i.opcode->name.compare(0, 11, "cp.async.cg") == 0;
    if (bytes != 16 && (cg || (bytes != 4 && bytes != 8)))
        fail(ErrorKind::kBadArgument, w, first_lane(lanes), i, "copies of " + std::to_string(bytes) + " bytes");
    u64 to[kWarpSize], from[kWarpSize];
    addresses(w, i, o[0], lanes, to);
    addresses(w, i, o[1], lanes, from);
    const u32* valid = nullptr;
    if (i.opcode->detail & kZeroFill) {
        need_written(w, i, lanes, written_32(w, o[3]), "number of bytes");
        valid = source_32(w, o[3]);
    }
    if (i.opcode->detail & kPolicy) check_policy(w, i, o[i.count - 1], lanes);

    u32 offsets[kWarpSize];
    shared_offsets(w, i, lanes, *w.block, to, bytes, offsets);
    u32 reading = 0;
    for (u32 lane : Lanes{lanes}) {
        u32 count = valid ? valid[lane] : bytes;
        if (count > bytes) fail(ErrorKind::kBadArgument, w, lane, i, std::to_string(count) + " source bytes of " + std::to_string(bytes));
        if (from[lane] % bytes != 0) fail(ErrorKind::kMisaligned, w, lane, i, "source " + hex(from[lane]) + " is not a multiple of " + std::to_string(bytes));
        if (count == 0) continue;
        reading |= 1u << lane;
        Allocation& a = find_allocation(from[lane], count, w, lane, i, "source of ");
        if (machine.options.races && a.words) race_global(w, lane, a, from[lane], count, Kind::kRead, i);
        if (!a.written(from[lane], count)) need_written(w, i, 1u << lane, 0, "source");
        if (machine.options.reads) machine.result->reads.push_back({w.block->index, from[lane], count});
    }
    if (machine.options.counters && reading) count_global(i, reading, from, bytes, false);
    if (machine.options.races) issue_copy(w, lanes, offsets, bytes, i);

    // Lanes that committed differently often take part in different groups.
    for (u32 left = lanes; left;) {
        u32 group = w.committed[first_lane(left)], same = 0;
        for (u32 lane : Lanes{left})
            if (w.committed[lane] == group) same |= 1u << lane;
        left &= ~same;
        w.copies.emplace_back();
        PendingCopy& copy = w.copies.back();
        copy.at = &i;
        copy.lanes = same;
        copy.group = group;
        copy.bytes = bytes;
        for (u32 lane : Lanes{same}) {
            copy.destination[lane] = offsets[lane];
            copy.source[lane] = from[lane];
            copy.valid[lane] = static_cast<u8>(valid ? valid[lane] : bytes);
            std::memset(w.block->shared + offsets[lane], 0xff, bytes);
            set_marks(w.block->written, offsets[lane], 0, bytes);
        }
    }
    return Next::kGo;
}

Next commit(Warp& w, const Instruction&, u32 lanes) {
    for (u32 lane : Lanes{lanes}) ++w.committed[lane];
    return Next::kGo;
}

/** Until at most so many of each lane's groups, the youngest, are under way. */
void wait(Warp& w, u32 lanes, u32 pending, bool open_too) {
    for (PendingCopy& copy : w.copies) {
        u32 due = 0;
        for (u32 lane : Lanes{copy.lanes & lanes})
            if (open_too || copy.group + pending < w.committed[lane]) due |= 1u << lane;
        if (due) deliver(w, copy, due);
        copy.lanes &= ~due;
    }
    while (!w.copies.empty() && w.copies.front().lanes == 0) w.copies.pop_front();
}

Next wait_group(Warp& w, const Instruction& i, u32 lanes) {
    wait(w, lanes, static_cast<u32>(i.operands[0].offset), false);
    return Next::kGo;
}

Next wait_all(Warp& w, const Instruction&, u32 lanes) {
    wait(w, lanes, 0, true);
    return Next::kGo;
}

}  // namespace

void check_policy(const Warp& w, const Instruction& i, const Operand& o, u32 lanes) {
    u64 policy = uniform_64(w, i, o, lanes);
    if (policy != kPolicyEvictFirst && policy != kPolicyEvictNormal && policy != kPolicyEvictLast)
        fail(ErrorKind::kBadArgument, w, first_lane(lanes), i, hex(policy) + " is not an L2 policy");
}

void check_copies_at_exit(Warp& w, u32 lanes) {
    for (const PendingCopy& copy : w.copies)
        if (copy.lanes & lanes)
            report(ErrorKind::kAsyncCopy, w, first_lane(copy.lanes & lanes), *copy.at, nullptr, "exits without having waited for this copy");
}

void add_copies(OpcodeTable& table) {
    for (const char* cache : {"ca", "cg"})
        for (const char* space : {"shared", "shared::cta"})
            for (const char* prefetch : {"", ".L2::64B", ".L2::128B", ".L2::256B"}) {
                std::string name = std::string("cp.async.") + cache + "." + space + ".global";
                table.emplace(name + prefetch, instruction("aai", issue, kPlain));
                table.emplace(name + prefetch, instruction("aair", issue, kZeroFill));
                table.emplace(name + ".L2::cache_hint" + prefetch, instruction("aaid", issue, kPolicy));
                table.emplace(name + ".L2::cache_hint" + prefetch, instruction("aaird", issue, kPolicy | kZeroFill));
            }
    table.emplace("cp.async.commit_group", instruction("", commit));
    table.emplace("cp.async.wait_group", instruction("i", wait_group));
    table.emplace("cp.async.wait_all", instruction("", wait_all));
}

}  // namespace jmarlin::machine
