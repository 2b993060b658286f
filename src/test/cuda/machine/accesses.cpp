// Loads, stores, atomics and prefetches (Parallel Thread Execution ISA 9.0, 9.7.9.8 to 9.7.9.17, 9.7.13.5; 5.1 state spaces, 8 memory
// consistency). Every access is checked to the byte: bounds, alignment, roles, whether somebody wrote what is read.
#include "accesses.hpp"

#include <algorithm>

#include "lanewise.hpp"
#include "mbarriers.hpp"
#include "races.hpp"

namespace jmarlin::machine {

namespace {

/** What a load, store or atomic means beyond its bytes (8.4, 8.5). */
enum Meaning : u32 { kWeak = 0, kNotCoherent = 1, kAcquire = 2, kRelease = 4, kStrong = 8, kOfBlock = 16 };

/** A strong access is polled by others: now and then it is their turn. */
Next polled(Warp& w) { return ++w.polls % 16 == 0 ? Next::kYield : Next::kGo; }

void need_aligned(const Warp& w, u32 lane, const Instruction& at, u64 address, u32 bytes) {
    if (__builtin_expect(address % bytes != 0, false))
        fail(ErrorKind::kMisaligned, w, lane, at, hex(address) + " is not a multiple of " + std::to_string(bytes));
}

struct Moved {
    u32 lanes;
    u8 bytes[kWarpSize][16];
    u32 written[8];            // by element: lanes whose value somebody wrote
};

void load_parameters(const Warp& w, const Instruction& i, const u64* address, u32 total, Moved& m) {
    for (u32 lane : Lanes{m.lanes}) {
        if (address[lane] > machine.entry->parameter_bytes || total > machine.entry->parameter_bytes - address[lane])
            fail(ErrorKind::kOutOfBounds, w, lane, i, "byte " + std::to_string(address[lane]) + " of " + std::to_string(machine.entry->parameter_bytes) + " of parameters");
        need_aligned(w, lane, i, address[lane], total);
        std::memcpy(m.bytes[lane], machine.parameters + address[lane], total);
    }
}

/** The elements of an access that begins at a bit of the marks: lanes for which all bytes of an element are marked. */
void note_written(Moved& m, u32 lane, u32 bits, u32 element, u32 count) {
    for (u32 e = 0; e < count; ++e) {
        u32 want = ((1u << element) - 1) << (e * element);
        if ((bits & want) != want) m.written[e] &= ~(1u << lane);
    }
}

u32 written_bits(const Moved& m, u32 lane, u32 element, u32 count) {
    u32 bits = 0;
    for (u32 e = 0; e < count; ++e)
        if (m.written[e] >> lane & 1) bits |= ((1u << element) - 1) << (e * element);
    return bits;
}

void load_shared(Warp& w, const Instruction& i, Block& owner, const u64* address, u32 total, Moved& m) {
    u32 offsets[kWarpSize];
    shared_offsets(w, i, m.lanes, owner, address, total, offsets);
    if (machine.options.races) {
        if (&owner == w.block) race_shared_read(w, m.lanes, offsets, total, i);
        else for (u32 lane : Lanes{m.lanes}) race_remote_read(w, lane, owner, offsets[lane], total, i);
    }
    u32 all = (1u << total) - 1, element = i.opcode->bytes, count = i.opcode->count;
    for (u32 lane : Lanes{m.lanes}) {
        if (may_hold_mbarriers(owner, offsets[lane], total)) check_no_mbarrier(w, lane, i, owner, offsets[lane], total);
        std::memcpy(m.bytes[lane], owner.shared + offsets[lane], total);
        u32 bits = marks_at(owner.written, offsets[lane], total);
        if (__builtin_expect(bits != all, false)) note_written(m, lane, bits, element, count);
    }
}

void store_shared(Warp& w, const Instruction& i, Block& owner, const u64* address, u32 total, Moved& m) {
    u32 offsets[kWarpSize];
    shared_offsets(w, i, m.lanes, owner, address, total, offsets);
    if (machine.options.races) {
        if (&owner == w.block) race_shared_write(w, m.lanes, offsets, total, i);
        else for (u32 lane : Lanes{m.lanes}) race_remote_write(w, lane, owner, offsets[lane], total, i);
    }
    u32 element = i.opcode->bytes, count = i.opcode->count;
    for (u32 lane : Lanes{m.lanes}) {
        if (may_hold_mbarriers(owner, offsets[lane], total)) check_no_mbarrier(w, lane, i, owner, offsets[lane], total);
        std::memcpy(owner.shared + offsets[lane], m.bytes[lane], total);
        set_marks(owner.written, offsets[lane], written_bits(m, lane, element, count), total);
    }
}

void load_global(Warp& w, const Instruction& i, const u64* address, u32 total, Moved& m) {
    bool nc = i.opcode->detail & kNotCoherent;
    for (u32 lane : Lanes{m.lanes}) {
        need_aligned(w, lane, i, address[lane], total);
        Allocation& a = find_allocation(address[lane], total, w, lane, i);
        if (machine.options.races && a.words)
            race_global(w, lane, a, address[lane], total, nc ? Kind::kReadNc : i.opcode->detail & kStrong ? Kind::kReadStrong : Kind::kRead, i);
        std::memcpy(m.bytes[lane], reinterpret_cast<const void*>(address[lane]), total);
        if (a.role != Role::kInput && !a.written(address[lane], total))
            for (u32 e = 0; e < i.opcode->count; ++e)
                if (!a.written(address[lane] + e * i.opcode->bytes, i.opcode->bytes)) m.written[e] &= ~(1u << lane);
        if (i.opcode->detail & kStrong && machine.options.races) {
            if (i.opcode->detail & kAcquire) learn_from(w, lane, address[lane]);
            else relaxed_atomic(w, lane, address[lane]);
        }
    }
    if (machine.options.counters) count_global(i, m.lanes, address, total);
}

void store_global(Warp& w, const Instruction& i, const u64* address, u32 total, Moved& m) {
    u32 element = i.opcode->bytes, count = i.opcode->count;
    for (u32 lane : Lanes{m.lanes}) {
        need_aligned(w, lane, i, address[lane], total);
        Allocation& a = find_allocation(address[lane], total, w, lane, i);
        if (a.role == Role::kInput) fail(ErrorKind::kReadOnly, w, lane, i, "writes into an input, " + hex(address[lane]));
        if (machine.options.races && a.words) {
            if (i.opcode->detail & kRelease) publish_at(w, lane, address[lane]);
            else if (i.opcode->detail & kStrong) relaxed_atomic(w, lane, address[lane]);
            race_global(w, lane, a, address[lane], total, i.opcode->detail & kStrong ? Kind::kWriteStrong : Kind::kWrite, i);
        }
        std::memcpy(reinterpret_cast<void*>(address[lane]), m.bytes[lane], total);
        u32 bits = written_bits(m, lane, element, count);
        if (bits == (1u << total) - 1) {
            a.mark(address[lane], total, true);
            continue;
        }
        if (a.role == Role::kOutput) need_written(w, i, 1u << lane, 0, "stored result");
        for (u32 e = 0; e < count; ++e) a.mark(address[lane] + e * element, element, m.written[e] >> lane & 1);
    }
    if (machine.options.counters) count_global(i, m.lanes, address, total);
}

u8* local_bytes(const Warp& w, u32 lane, const Instruction& i, u64 address, u32 total) {
    if (address > machine.code->local || total > machine.code->local - address)
        fail(ErrorKind::kOutOfBounds, w, lane, i, "byte " + std::to_string(address) + " of " + std::to_string(machine.code->local) + " of local memory");
    need_aligned(w, lane, i, address, total);
    return w.local + lane * machine.code->local + address;
}

/** Calls once for every state space, and block of the cluster, that lanes address. */
template <class F>
void by_place(Warp& w, const Instruction& i, u32 lanes, u64* address, F access) {
    Space space = i.opcode->space;
    if (space != Space::kGeneric && space != Space::kCluster) return access(lanes, space, *w.block);
    while (lanes) {
        auto key = [&](u32 lane) { return space == Space::kCluster ? address[lane] >> kRankShift : address[lane] >> 56; };
        u64 first = key(first_lane(lanes));
        u32 same = 0;
        for (u32 lane : Lanes{lanes})
            if (key(lane) == first) same |= 1u << lane;
        Space of_these = space == Space::kCluster || first == kSharedWindow >> 56 ? Space::kShared : first == kLocalWindow >> 56 ? Space::kLocal : Space::kGlobal;
        Block* owner = w.block;
        if (space == Space::kCluster) owner = &block_of_address(w, i, same, static_cast<u32>(address[first_lane(same)]));
        u64 mask = space == Space::kCluster ? (1u << kRankShift) - 1 : of_these == Space::kGlobal ? ~u64{0} : ~(u64{0xff} << 56);
        for (u32 lane : Lanes{same}) address[lane] &= mask;
        access(same, of_these, *owner);
        lanes &= ~same;
    }
}

Next load(Warp& w, const Instruction& i, u32 lanes) {
    u32 element = i.opcode->bytes, count = i.opcode->count, total = element * count;
    u64 address[kWarpSize];
    addresses(w, i, i.operands[i.count - 1], lanes, address);
    Moved m;
    std::fill(m.written, m.written + count, kAllLanes);
    by_place(w, i, lanes, address, [&](u32 these, Space space, Block& owner) {
        m.lanes = these;
        switch (space) {
            case Space::kParam: return load_parameters(w, i, address, total, m);
            case Space::kShared: return load_shared(w, i, owner, address, total, m);
            case Space::kLocal:
                for (u32 lane : Lanes{these}) std::memcpy(m.bytes[lane], local_bytes(w, lane, i, address[lane], total), total);
                return;
            default: return load_global(w, i, address, total, m);
        }
    });
    bool wide = i.operands[0].kind == 'D';
    for (u32 e = 0; e < count; ++e) {
        u64 values_64[kWarpSize];
        u32 values_32[kWarpSize];
        for (u32 lane : Lanes{lanes}) {
            u64 value = 0;
            std::memcpy(&value, m.bytes[lane] + e * element, element);
            if (i.opcode->sign && element < 8) value = static_cast<u64>(static_cast<s64>(value << (64 - 8 * element)) >> (64 - 8 * element));
            values_64[lane] = value;
            values_32[lane] = static_cast<u32>(value);
        }
        if (wide) store_64(w, i.operands[e], lanes, values_64, m.written[e]);
        else store_32(w, i.operands[e], lanes, values_32, m.written[e]);
    }
    return i.opcode->detail & kStrong ? polled(w) : Next::kGo;
}

Next store(Warp& w, const Instruction& i, u32 lanes) {
    u32 element = i.opcode->bytes, count = i.opcode->count, total = element * count;
    u64 address[kWarpSize];
    addresses(w, i, i.operands[0], lanes, address);
    Moved m;
    for (u32 e = 0; e < count; ++e) {
        const Operand& o = i.operands[1 + e];
        bool wide = o.kind == 'd';
        for (u32 lane : Lanes{lanes}) {
            u64 value = wide ? source_64(w, o)[lane] : source_32(w, o)[lane];
            std::memcpy(m.bytes[lane] + e * element, &value, element);
        }
        m.written[e] = wide ? written_64(w, o) : written_32(w, o);
    }
    by_place(w, i, lanes, address, [&](u32 these, Space space, Block& owner) {
        m.lanes = these;
        if (space == Space::kShared) return store_shared(w, i, owner, address, total, m);
        if (space == Space::kGlobal) return store_global(w, i, address, total, m);
        for (u32 lane : Lanes{these}) std::memcpy(local_bytes(w, lane, i, address[lane], total), m.bytes[lane], total);
    });
    return Next::kGo;
}

// ---- Atomics (9.7.13.5, 9.7.13.6) ----

template <class F, class T>
Next atomic(Warp& w, const Instruction& i, u32 lanes) {
    constexpr bool wide = sizeof(T) == 8;
    bool returns = i.operands[0].kind == 'R' || i.operands[0].kind == 'D';
    const Operand* o = i.operands + returns;   // address, value, another
    u64 address[kWarpSize];
    addresses(w, i, o[0], lanes, address);
    Source<T> b(w, o[1]), c(w, o[i.count - 1 - returns]);
    u32 operands_written = written<T>(w, o[1]) & written<T>(w, o[i.count - 1 - returns]);
    Lane<T> old[kWarpSize] = {};
    u32 known = kAllLanes;
    by_place(w, i, lanes, address, [&](u32 these, Space space, Block& owner) {
        u32 offsets[kWarpSize];
        if (space == Space::kShared) {
            shared_offsets(w, i, these, owner, address, sizeof(T), offsets);
            if (machine.options.races && &owner == w.block) race_shared_write(w, these, offsets, sizeof(T), i, Writer::kAtomic);
        }
        for (u32 lane : Lanes{these}) {
            u8* at;
            if (space == Space::kShared) {
                at = owner.shared + offsets[lane];
                if (marks_at(owner.written, offsets[lane], sizeof(T)) != (1u << sizeof(T)) - 1) known &= ~(1u << lane);
                set_marks(owner.written, offsets[lane], (known & operands_written) >> lane & 1 ? (1u << sizeof(T)) - 1 : 0, sizeof(T));
            } else {
                at = reinterpret_cast<u8*>(address[lane]);
                need_aligned(w, lane, i, address[lane], sizeof(T));
                Allocation& a = find_allocation(address[lane], sizeof(T), w, lane, i);
                if (a.role == Role::kInput) fail(ErrorKind::kReadOnly, w, lane, i, "writes into an input, " + hex(address[lane]));
                // Atomics of block scope are none to the other blocks (8.7.1, morally strong).
                if (machine.options.races && a.words) race_global(w, lane, a, address[lane], sizeof(T), i.opcode->detail & kOfBlock ? Kind::kWrite : Kind::kAtomic, i);
                if (!a.written(address[lane], sizeof(T))) known &= ~(1u << lane);
                a.mark(address[lane], sizeof(T), (known & operands_written) >> lane & 1);
            }
            if (machine.options.races) {
                u64 key = space == Space::kShared ? kSharedWindow | u64{owner.index} << 32 | offsets[lane] : address[lane];
                if (i.opcode->detail & kOfBlock) key ^= u64{w.block->index + 1} << 56;
                if (i.opcode->detail & kAcquire) learn_from(w, lane, key);
                if (i.opcode->detail & kRelease) publish_at(w, lane, key);
                if (!(i.opcode->detail & (kAcquire | kRelease))) relaxed_atomic(w, lane, key);
            }
            std::memcpy(&old[lane], at, sizeof(T));
            Lane<T> updated = to_lane<T>(stateless<F>()(from_lane<T>(old[lane]), b[lane], c[lane]));
            std::memcpy(at, &updated, sizeof(T));
        }
        if (machine.options.counters && space == Space::kGlobal) count_global(i, these, address, sizeof(T));
    });
    if (returns) {
        if constexpr (wide) store_64(w, i.operands[0], lanes, old, known);
        else store_32(w, i.operands[0], lanes, old, known);
    }
    return polled(w);
}

struct Meanings { const char* text; u32 meaning; };

template <class T, class F>
void add_atomic(OpcodeTable& table, const std::string& operation, F, bool two_values = false) {
    const Meanings order[] = {{"", kWeak}, {".relaxed", kWeak}, {".acquire", kAcquire}, {".release", kRelease}, {".acq_rel", kAcquire | kRelease}};
    const std::pair<const char*, Space> spaces[] = {{"", Space::kGeneric}, {".global", Space::kGlobal}, {".shared", Space::kShared}, {".shared::cta", Space::kShared}};
    const std::string value = sizeof(T) == 8 ? "d" : "r";
    for (const Meanings& m : order)
        for (const char* scope : {"", ".cta", ".cluster", ".gpu", ".sys"})
            for (auto& space : spaces) {
                Opcode opcode = instruction("", atomic<F, T>, m.meaning | (std::string(scope) == ".cta" ? u32{kOfBlock} : 0u));
                opcode.space = space.second;
                opcode.bytes = sizeof(T);
                std::string tail = std::string(m.text) + scope + space.first + operation;
                opcode.signature = (sizeof(T) == 8 ? "Da" : "Ra") + value + (two_values ? value : "");
                table.emplace("atom" + tail, opcode);
                if (two_values) continue;
                opcode.signature = "a" + value;
                table.emplace("red" + tail, opcode);
            }
}

template <class T>
void add_atomics(OpcodeTable& table, const std::string& type) {
    add_atomic<T>(table, ".add." + type, [](T old, T b, T) { return static_cast<T>(old + b); });
    add_atomic<T>(table, ".min." + type, [](T old, T b, T) { return std::min(old, b); });
    add_atomic<T>(table, ".max." + type, [](T old, T b, T) { return std::max(old, b); });
}

template <class T>
void add_bit_atomics(OpcodeTable& table, const std::string& type) {
    add_atomic<T>(table, ".and." + type, [](T old, T b, T) { return static_cast<T>(old & b); });
    add_atomic<T>(table, ".or." + type, [](T old, T b, T) { return static_cast<T>(old | b); });
    add_atomic<T>(table, ".xor." + type, [](T old, T b, T) { return static_cast<T>(old ^ b); });
    add_atomic<T>(table, ".exch." + type, [](T, T b, T) { return b; });
    add_atomic<T>(table, ".cas." + type, [](T old, T b, T c) { return old == b ? c : old; }, true);
}

// ---- Prefetches and policies (9.7.9.15, 9.7.9.18) ----

Next prefetch_line(Warp& w, const Instruction& i, u32 lanes) {
    u64 address[kWarpSize];
    addresses(w, i, i.operands[0], lanes, address);
    for (u32 lane : Lanes{lanes}) {
        find_allocation(address[lane], 1, w, lane, i);
        machine.result->prefetches.push_back({w.block->index, address[lane] & ~u64{127}, 128});
    }
    return Next::kGo;
}

Next create_policy(Warp& w, const Instruction& i, u32 lanes) {
    u64 values[kWarpSize];
    std::fill(values, values + kWarpSize, i.opcode->detail);
    store_64(w, i.operands[0], lanes, values, kAllLanes);
    return Next::kGo;
}

void add_loads_and_stores(OpcodeTable& table) {
    const struct { const char* name; u8 bytes; bool sign; } types[] = {
        {"b8", 1, false}, {"u8", 1, false}, {"s8", 1, true}, {"b16", 2, false}, {"u16", 2, false}, {"s16", 2, true}, {"f16", 2, false},
        {"bf16", 2, false}, {"b32", 4, false}, {"u32", 4, false}, {"s32", 4, true}, {"f32", 4, false}, {"b64", 8, false},
        {"u64", 8, false}, {"s64", 8, true}, {"f64", 8, false}};
    const std::pair<const char*, Space> spaces[] = {
        {"", Space::kGeneric}, {".param", Space::kParam}, {".global", Space::kGlobal}, {".const", Space::kGlobal}, {".shared", Space::kShared},
        {".shared::cta", Space::kShared}, {".shared::cluster", Space::kCluster}, {".local", Space::kLocal}};
    auto add = [&](bool is_load, const std::string& before, const std::string& after, u32 meaning) {
        for (auto& space : spaces)
            for (auto& type : types)
                for (u8 count : {1, 2, 4}) {
                    if (count * type.bytes > 16 || (space.second == Space::kParam && !is_load)) continue;
                    for (bool wide : {false, true}) {
                        if (type.bytes == 8 && !wide) continue;
                        Opcode opcode = instruction("", is_load ? load : store, meaning);
                        std::string values(count, is_load ? (wide ? 'D' : 'R') : wide ? 'd' : 'r');
                        if (count > 1) values = "(" + values + ")";
                        opcode.signature = is_load ? values + "a" : "a" + values;
                        opcode.space = space.second;
                        opcode.bytes = type.bytes;
                        opcode.count = count;
                        opcode.sign = type.sign;
                        table.emplace((is_load ? "ld" : "st") + before + space.first + after + (count == 1 ? "." : count == 2 ? ".v2." : ".v4.") + type.name, opcode);
                    }
                }
    };
    for (const char* cache : {"", ".ca", ".cg", ".cs", ".lu", ".cv", ".nc", ".nc.L1::no_allocate", ".L1::no_allocate"})
        add(true, "", cache, std::string(cache).compare(0, 3, ".nc") == 0 ? kNotCoherent : kWeak);
    for (const char* cache : {"", ".wb", ".cg", ".cs", ".wt", ".L1::no_allocate"}) add(false, "", cache, kWeak);
    for (const char* scope : {".cta", ".cluster", ".gpu", ".sys"}) {
        add(true, std::string(".relaxed") + scope, "", kStrong);
        add(true, std::string(".acquire") + scope, "", kStrong | kAcquire);
        add(false, std::string(".relaxed") + scope, "", kStrong);
        add(false, std::string(".release") + scope, "", kStrong | kRelease);
    }
    add(true, ".volatile", "", kStrong);
    add(false, ".volatile", "", kStrong);
}

}  // namespace

void addresses(const Warp& w, const Instruction& i, const Operand& o, u32 lanes, u64* out) {
    s64 offset = o.offset;
    if (o.kind == 'q') {
        need_written(w, i, lanes, written_64(w, o), "address");
        const u64* base = source_64(w, o);
        for (u32 lane = 0; lane < kWarpSize; ++lane) out[lane] = base[lane] + static_cast<u64>(offset);
    } else {
        need_written(w, i, lanes, written_32(w, o), "address");
        const u32* base = source_32(w, o);
        for (u32 lane = 0; lane < kWarpSize; ++lane) out[lane] = base[lane] + static_cast<u32>(offset);
    }
}

void shared_offsets(const Warp& w, const Instruction& i, u32 lanes, const Block& owner, const u64* address, u32 bytes, u32* offsets) {
    for (u32 lane : Lanes{lanes}) {
        u64 offset = address[lane] - kSharedBase;
        need_aligned(w, lane, i, address[lane], bytes);
        if (__builtin_expect(offset > machine.shared_bytes || bytes > machine.shared_bytes - offset, false))
            fail(ErrorKind::kOutOfBounds, w, lane, i, std::to_string(bytes) + " bytes at " + hex(address[lane]) + ", outside the shared memory of block " +
                 std::to_string(owner.index) + ", [" + hex(kSharedBase) + ", " + hex(kSharedBase + machine.shared_bytes) + ")");
        offsets[lane] = static_cast<u32>(offset);
    }
    if (machine.options.counters) count_shared(i, lanes, address, bytes);
}

Block& block_of_address(const Warp& w, const Instruction& i, u32 lanes, u32 address) {
    u32 rank = address >> kRankShift;
    if (rank == 0) return *w.block;
    if (rank > machine.cluster_size)
        fail(ErrorKind::kOutOfBounds, w, first_lane(lanes), i, hex(address) + " is in no window of the cluster");
    Block& owner = machine.block_of_rank(*w.block, rank - 1);
    if (owner.live_warps == 0)
        fail(ErrorKind::kExited, w, first_lane(lanes), i, "touches shared memory of block " + std::to_string(owner.index) + ", which has exited");
    if (!owner.started) start_block(owner);
    return owner;
}

void add_accesses(OpcodeTable& table) {
    add_loads_and_stores(table);
    add_atomics<u32>(table, "u32"), add_atomics<s32>(table, "s32"), add_atomics<u64>(table, "u64"), add_atomics<s64>(table, "s64");
    add_bit_atomics<u32>(table, "b32"), add_bit_atomics<u64>(table, "b64");
    add_atomic<float>(table, ".add.f32", [](float old, float b, float) { return old + b; });
    add_atomic<u32>(table, ".inc.u32", [](u32 old, u32 b, u32) { return old >= b ? 0 : old + 1; });
    add_atomic<u32>(table, ".dec.u32", [](u32 old, u32 b, u32) { return old == 0 || old > b ? b : old - 1; });

    table.emplace("prefetch.global.L2", instruction("a", prefetch_line));
    table.emplace("createpolicy.fractional.L2::evict_first.b64", instruction("Di", create_policy, kPolicyEvictFirst));
    table.emplace("createpolicy.fractional.L2::evict_normal.b64", instruction("Di", create_policy, kPolicyEvictNormal));
    table.emplace("createpolicy.fractional.L2::evict_last.b64", instruction("Di", create_policy, kPolicyEvictLast));
}

}  // namespace jmarlin::machine
