// Execution of a warp (Parallel Thread Execution ISA 9.0, 3.1 and 9.7.12): its lanes run in groups, one group per place. The group that
// is furthest behind runs first, and groups that come to the same place become one. Lanes that have diverged are
// threads of their own: nothing but a barrier orders what they do.
#include <algorithm>

#include "lanewise.hpp"
#include "products.hpp"

namespace jmarlin::machine {

namespace {

/** How long a group may run while another is further ahead and can go on: it may be polling for what that one does. */
constexpr u32 kGroupTurn = 2000;

/**
 * Puts groups at the same place together; the current one is the running one that is furthest behind, or ahead. False if none
 * can run.
 */
bool select_group(Warp& w, bool ahead = false) {
    auto& groups = w.groups;
    for (std::size_t i = 0; i < groups.size(); ++i)
        for (std::size_t j = i + 1; j < groups.size();) {
            if (groups[j].pc != groups[i].pc || groups[i].state == Group::kSleeping || groups[j].state == Group::kSleeping) {
                ++j;
                continue;
            }
            groups[i].lanes |= groups[j].lanes;
            groups[i].state = Group::kRunning;
            groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(j));
        }
    w.current = ~0u;
    for (u32 i = 0; i < groups.size(); ++i)
        if (groups[i].state == Group::kRunning && (w.current == ~0u || (groups[i].pc < groups[w.current].pc) != ahead)) w.current = i;
    return w.current != ~0u;
}

/** Lanes wait in bar.warp.sync at several places: they meet if all name the same lanes, and all of these are there (9.7.13.2). */
bool meet_at_warp_barriers(Warp& w) {
    std::map<u32, u32> here;   // lanes by the mask that they name
    auto mask_of_group = [&](const Group& g) -> u32 {
        const Instruction& i = machine.instructions[g.pc];
        return g.state == Group::kMeeting && i.opcode->name == "bar.warp.sync" ? source_32(w, i.operands[0])[first_lane(g.lanes)] : 0;
    };
    for (const Group& g : w.groups)
        if (u32 mask = mask_of_group(g)) here[mask] |= g.lanes;
    for (auto& each : here) {
        if ((each.second & each.first) != each.first) continue;
        meet_lanes(w, each.first);
        for (Group& g : w.groups)
            if (mask_of_group(g) == each.first) ++g.pc, g.state = Group::kRunning;
        return true;
    }
    return false;
}

[[noreturn]] void fail_divergence(Warp& w) {
    const Group* waiting = nullptr;
    for (const Group& g : w.groups)
        if (g.state == Group::kMeeting) waiting = &g;
    std::string others;
    for (const Group& g : w.groups)
        if (&g != waiting) others += "; lanes " + hex(g.lanes) + " wait at " + at_text(machine.instructions[g.pc]);
    if (w.exited) others += "; lanes " + hex(w.exited) + " have exited";
    fail(ErrorKind::kDivergence, w, first_lane(waiting->lanes), machine.instructions[waiting->pc],
         "only lanes " + hex(waiting->lanes) + " of the warp come here" + others);
}

void exit_lanes(Warp& w, u32 lanes) {
    check_copies_at_exit(w, lanes);
    w.exited |= lanes;
}

// ---- Control flow ----

Next branch(Warp&, const Instruction&, u32) { return Next::kBranch; }
Next leave(Warp&, const Instruction&, u32) { return Next::kExit; }
Next nothing(Warp&, const Instruction&, u32) { return Next::kGo; }
Next trap(Warp& w, const Instruction& i, u32 lanes) { fail(ErrorKind::kBadArgument, w, first_lane(lanes), i, "the kernel gives up"); }

// ---- What lanes do together (9.7.9.6 shfl, 9.7.13.9 vote, match, redux, elect, activemask) ----

/** Whether all lanes that the mask names are here; the last source operand. */
bool all_here(Warp& w, const Instruction& i, u32 lanes, u32& mask) {
    mask = uniform_32(w, i, i.operands[i.count - 1], lanes);
    if ((lanes & ~mask) != 0) fail(ErrorKind::kDivergence, w, first_lane(lanes & ~mask), i, "a lane that its mask " + hex(mask) + " does not name");
    return (mask & ~lanes) == 0;
}

/** Where a lane reads: 9.7.9.6. c holds the clamp in bits 0-4 and the segment's mask in 8-12. */
enum Shuffle { kIdx, kUp, kDown, kBfly };

template <bool kWithPredicate>
Next shuffle(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask;
    if (!all_here(w, i, lanes, mask)) return Next::kMeet;
    const Operand* o = i.operands + kWithPredicate;
    const u32 *a = source_32(w, o[1]), *b = source_32(w, o[2]), *c = source_32(w, o[3]);
    need_written(w, i, lanes, written_32(w, o[2]) & written_32(w, o[3]), "lane");
    u32 known = written_32(w, o[1]), result[kWarpSize] = {}, known_result = 0, in_range = 0;
    for (u32 lane : Lanes{lanes}) {
        u32 by = b[lane] & 31, clamp = c[lane] & 31, segment = c[lane] >> 8 & 31;
        u32 last = (lane & segment) | (clamp & ~segment), first = lane & segment;
        s32 from = 0;
        bool inside = false;
        switch (i.opcode->detail) {
            case kUp: from = static_cast<s32>(lane) - static_cast<s32>(by), inside = from >= static_cast<s32>(last); break;
            case kDown: from = static_cast<s32>(lane + by), inside = from <= static_cast<s32>(last); break;
            case kBfly: from = static_cast<s32>(lane ^ by), inside = from <= static_cast<s32>(last); break;
            default: from = static_cast<s32>(first | (by & ~segment)), inside = from <= static_cast<s32>(last); break;
        }
        u32 source = inside ? static_cast<u32>(from) & 31 : lane;
        if (!(lanes >> source & 1)) fail(ErrorKind::kDivergence, w, lane, i, "reads of lane " + std::to_string(source) + ", which is not here");
        result[lane] = a[source];
        known_result |= (known >> source & 1) << lane;
        in_range |= static_cast<u32>(inside) << lane;
    }
    store_32(w, i.operands[0], lanes, result, known_result);
    if (kWithPredicate) store_p(w, i.operands[1], lanes, in_range, kAllLanes);
    return Next::kGo;
}

enum Vote { kAll, kAny, kUni, kBallot };

Next vote(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask;
    if (!all_here(w, i, lanes, mask)) return Next::kMeet;
    u32 yes = source_p(w, i.operands[1]) & lanes;
    u32 known = (written_p(w, i.operands[1]) & lanes) == lanes ? kAllLanes : 0;
    bool result = i.opcode->detail == kAll ? yes == lanes : i.opcode->detail == kAny ? yes != 0 : yes == lanes || yes == 0;
    if (i.opcode->detail != kBallot) return store_p(w, i.operands[0], lanes, result ? kAllLanes : 0, known), Next::kGo;
    u32 values[kWarpSize];
    std::fill(values, values + kWarpSize, yes);
    store_32(w, i.operands[0], lanes, values, known);
    return Next::kGo;
}

Next active_mask(Warp& w, const Instruction& i, u32 lanes) {
    u32 values[kWarpSize];
    std::fill(values, values + kWarpSize, lanes);
    store_32(w, i.operands[0], lanes, values, kAllLanes);
    return Next::kGo;
}

Next match_any(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask, values[kWarpSize] = {};
    if (!all_here(w, i, lanes, mask)) return Next::kMeet;
    const u32* a = source_32(w, i.operands[1]);
    for (u32 lane : Lanes{lanes})
        for (u32 other : Lanes{lanes}) values[lane] |= static_cast<u32>(a[lane] == a[other]) << other;
    store_32(w, i.operands[0], lanes, values, (written_32(w, i.operands[1]) & lanes) == lanes ? kAllLanes : 0);
    return Next::kGo;
}

/** elect.sync d|p, mask: the lowest lane (9.7.13.14). */
Next elect(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask;
    if (!all_here(w, i, lanes, mask)) return Next::kMeet;
    u32 values[kWarpSize];
    std::fill(values, values + kWarpSize, first_lane(lanes));
    store_32(w, i.operands[0], lanes, values, kAllLanes);
    store_p(w, i.operands[1], lanes, 1u << first_lane(lanes), kAllLanes);
    return Next::kGo;
}

template <class F>
Next reduce(Warp& w, const Instruction& i, u32 lanes) {
    u32 mask, values[kWarpSize];
    if (!all_here(w, i, lanes, mask)) return Next::kMeet;
    const u32* a = source_32(w, i.operands[1]);
    u32 sum = a[first_lane(lanes)];
    for (u32 lane : Lanes{lanes & (lanes - 1)}) sum = stateless<F>()(sum, a[lane]);
    std::fill(values, values + kWarpSize, sum);
    store_32(w, i.operands[0], lanes, values, (written_32(w, i.operands[1]) & lanes) == lanes ? kAllLanes : 0);
    return Next::kGo;
}

template <class F>
void add_reduction(OpcodeTable& table, const char* name, F) { table.emplace(name, instruction("Rrr", reduce<F>)); }

}  // namespace

void run_warp(Warp& w, u64 turn) {
    if (!select_group(w)) return;
    const Instruction* code = machine.instructions;
    u32 patience = kGroupTurn;
    bool ahead = false;
    for (; turn > 0; --turn) {
        Group* group = &w.groups[w.current];
        if (__builtin_expect(w.groups.size() > 1, false)) {
            if (--patience == 0) patience = kGroupTurn, ahead = !ahead;
            if (!select_group(w, ahead)) return;
            group = &w.groups[w.current];
        }
        const Instruction& i = code[group->pc];
        u32 lanes = group->lanes;
        if (i.guard >= 0) {
            u32 guard = w.predicates[i.guard];
            need_written(w, i, lanes, w.written_p[i.guard], "guard");
            lanes &= i.negated ? ~guard : guard;
        }
        ++machine.result->steps;
        if (lanes == 0) {
            ++group->pc;
            continue;
        }
        machine.executed[group->pc] = true;
        if (w.products_under_way()) check_busy_registers(w, i, lanes);

        Next next;
        if (__builtin_expect(i.aligned && lanes != kAllLanes, false)) {
            if (lanes != group->lanes)
                fail(ErrorKind::kDivergence, w, first_lane(group->lanes & ~lanes), i, "only lanes " + hex(lanes) + " have their guard set");
            if (w.groups.size() == 1) group->state = Group::kMeeting, fail_divergence(w);
            next = Next::kMeet;
        } else {
            next = i.run(w, i, lanes);
        }
        switch (next) {
            case Next::kGo:
                ++group->pc;
                break;
            case Next::kYield:
                ++group->pc;
                return;
            case Next::kBranch: {
                u32 rest = group->lanes & ~lanes;
                u32 behind = group->pc + 1;
                if (rest == 0) {
                    group->pc = i.target;
                } else if (i.target != behind) {
                    group->lanes = rest;
                    group->pc = behind;
                    w.groups.push_back({i.target, lanes, Group::kRunning});
                } else {
                    group->pc = behind;
                }
                break;
            }
            case Next::kExit:
                exit_lanes(w, lanes);
                group->lanes &= ~lanes;
                ++group->pc;
                if (group->lanes == 0) w.groups.erase(w.groups.begin() + w.current);
                if (w.groups.empty()) return warp_exits(w);
                if (!select_group(w)) goto stuck;
                break;
            case Next::kMeet:
                group->state = Group::kMeeting;
                if (u32 rest = group->lanes & ~lanes) {   // the guard sends these on
                    group->lanes = lanes;
                    w.groups.push_back({group->pc + 1, rest, Group::kRunning});
                }
                if (!select_group(w)) goto stuck;
                break;
            case Next::kSleep:
                group->state = Group::kSleeping;
                w.waits = &i;
                if (!select_group(w)) return;
                break;
            case Next::kBlock:
                ++group->pc;
                w.waits = &i;
                if (w.blocked) return;   // not released by itself, the last to come
                break;
        }
        continue;
    stuck:
        if (std::any_of(w.groups.begin(), w.groups.end(), [](const Group& g) { return g.state == Group::kSleeping; })) return;
        if (!meet_at_warp_barriers(w) || !select_group(w)) fail_divergence(w);
    }
}

std::string where_it_waits(const Warp& w) {
    std::string text = "block " + std::to_string(w.block->index) + ", warp " + std::to_string(w.index) + " waits in ";
    if (w.blocked) return text + at_text(*w.waits);
    for (const Group& g : w.groups) text += (&g == &w.groups[0] ? "" : "; ") + std::string("lanes ") + hex(g.lanes) + " in " + at_text(machine.instructions[g.pc]);
    return text;
}

u32 uniform_32(const Warp& w, const Instruction& i, const Operand& o, u32 lanes) {
    const u32* values = source_32(w, o);
    need_written(w, i, lanes, written_32(w, o), "operand");
    for (u32 lane : Lanes{lanes})
        if (values[lane] != values[first_lane(lanes)])
            fail(ErrorKind::kBadArgument, w, lane, i, "has " + std::to_string(values[lane]) + " where another lane has " + std::to_string(values[first_lane(lanes)]));
    return values[first_lane(lanes)];
}

u64 uniform_64(const Warp& w, const Instruction& i, const Operand& o, u32 lanes) {
    const u64* values = source_64(w, o);
    need_written(w, i, lanes, written_64(w, o), "operand");
    for (u32 lane : Lanes{lanes})
        if (values[lane] != values[first_lane(lanes)])
            fail(ErrorKind::kBadArgument, w, lane, i, "has " + hex(values[lane]) + " where another lane has " + hex(values[first_lane(lanes)]));
    return values[first_lane(lanes)];
}

void need_written(const Warp& w, const Instruction& i, u32 lanes, u32 written, const char* what) {
    if (__builtin_expect((lanes & ~written) != 0, false) && !is_reported(ErrorKind::kUninitialised, i, nullptr))
        report(ErrorKind::kUninitialised, w, first_lane(lanes & ~written), i, nullptr, std::string("its ") + what + " depends on a value that nobody wrote");
}

void add_control(OpcodeTable& table) {
    table.emplace("bra", instruction("L", branch));
    table.emplace("bra.uni", instruction("L", branch));
    for (const char* name : {"ret", "exit", "ret.uni"}) table.emplace(name, instruction("", leave));
    table.emplace("trap", instruction("", trap));
    table.emplace("nanosleep.u32", instruction("r", nothing));

    const char* modes[] = {"idx", "up", "down", "bfly"};
    for (u32 mode = 0; mode < 4; ++mode) {
        std::string name = std::string("shfl.sync.") + modes[mode] + ".b32";
        table.emplace(name, instruction("Rrrrr", shuffle<false>, mode));
        table.emplace(name, instruction("RPrrrr", shuffle<true>, mode));
    }
    table.emplace("vote.sync.all.pred", instruction("Ppr", vote, kAll));
    table.emplace("vote.sync.any.pred", instruction("Ppr", vote, kAny));
    table.emplace("vote.sync.uni.pred", instruction("Ppr", vote, kUni));
    table.emplace("vote.sync.ballot.b32", instruction("Rpr", vote, kBallot));
    table.emplace("activemask.b32", instruction("R", active_mask));
    table.emplace("match.any.sync.b32", instruction("Rrr", match_any));
    table.emplace("elect.sync", instruction("RPr", elect));
    for (const char* type : {"u32", "s32"}) add_reduction(table, (std::string("redux.sync.add.") + type).c_str(), [](u32 a, u32 b) { return a + b; });
    add_reduction(table, "redux.sync.min.u32", [](u32 a, u32 b) { return std::min(a, b); });
    add_reduction(table, "redux.sync.max.u32", [](u32 a, u32 b) { return std::max(a, b); });
    add_reduction(table, "redux.sync.min.s32", [](u32 a, u32 b) { return static_cast<u32>(std::min(static_cast<s32>(a), static_cast<s32>(b))); });
    add_reduction(table, "redux.sync.max.s32", [](u32 a, u32 b) { return static_cast<u32>(std::max(static_cast<s32>(a), static_cast<s32>(b))); });
    add_reduction(table, "redux.sync.and.b32", [](u32 a, u32 b) { return a & b; });
    add_reduction(table, "redux.sync.or.b32", [](u32 a, u32 b) { return a | b; });
    add_reduction(table, "redux.sync.xor.b32", [](u32 a, u32 b) { return a ^ b; });
}

}  // namespace jmarlin::machine
