// Bank conflicts and sectors of access patterns whose cost is known.
#include "expect.hpp"
#include "ptx_sm90.cuh"

namespace selftest {

using namespace jmarlin;

namespace {

struct Args {
    u64 in, out;
    int pattern;
};

void patterns(Args args) {
    u32 lane = lane_index(), base = dynamic_shared();
    u32 d[4];
    switch (args.pattern) {
        case 0: st_shared_4(base + 4 * lane, lane); break;                              // a row of words
        case 1: st_shared_4(base + 128 * lane, lane); break;                            // a column: one bank
        case 2: st_shared_4(base + 8 * lane, lane); break;                              // every other bank, twice
        case 3: st_shared_f32x4(base + 16 * lane, F32x4{}); break;                         // 8 lanes fill the banks
        case 4: st_shared_f32x4(base + 128 * lane, F32x4{}); break;                        // 8 lanes in 4 banks
        case 5: st_shared_f32x4(base + 128 * lane + 16 * (lane % 8), F32x4{}); break;      // the same, staggered
        case 6: ld_shared_4(base); break;                                               // a broadcast
        case 7: ldmatrix_x4(d, base + 128 * lane); break;                               // rows of 128 bytes
        case 8: ldmatrix_x4(d, base + 128 * lane + 16 * (lane % 8)); break;             // the same, swizzled
        case 9:
            cp_async_16(base + 128 * lane, args.in + 16 * lane, policy_evict_first());
            cp_async_commit();
            cp_async_wait<0>();
            break;
        case 10: st_global_2(args.out + 64 * lane, 1); break;                           // a sector each
        case 11: st_global_16(args.out + 16 * lane, Vec16{}); break;                    // 512 bytes in a row
        case 12: for (u32 i = 0; i < lane; ++i) st_shared_4(base + 4 * lane + 128 * i, i); break;   // lanes with different counts
        case 13: if (lane % 2) st_shared_4(base + 4 * lane, 1); st_shared_4(base + 4 * lane, 2); break;
        case 14: st_shared_f32x2(base + 8 * lane, F32x2{}); break;
        case 15: st_shared_f32x2(base + 256 * (lane % 16) + 8 * (lane / 16), F32x2{}); break;       // 16 lanes in 2 banks
        default: break;
    }
}

struct Expected {
    const char* name;
    int pattern;
    const char* operation;
    u64 requests, transactions, excess, sectors;
};

constexpr Expected kExpected[] = {
    {"a row of words", 0, "st_shared_4", 1, 1, 0, 0},
    {"a column of words", 1, "st_shared_4", 1, 32, 31, 0},
    {"every other word", 2, "st_shared_4", 1, 2, 1, 0},
    {"16 bytes a lane in a row", 3, "st_shared_f32x4", 1, 4, 0, 0},
    {"16 bytes a lane in a column", 4, "st_shared_f32x4", 1, 32, 28, 0},
    {"16 bytes a lane in a staggered column", 5, "st_shared_f32x4", 1, 4, 0, 0},
    {"a broadcast", 6, "ld_shared_4", 1, 1, 0, 0},
    {"ldmatrix of plain rows", 7, "ldmatrix", 1, 32, 28, 0},
    {"ldmatrix of swizzled rows", 8, "ldmatrix", 1, 4, 0, 0},
    {"cp.async into a column", 9, "cp_async_16", 1, 32, 28, 0},
    {"the source of cp.async", 9, "cp_async_16 source", 1, 0, 0, 16},
    {"scattered 2-byte stores", 10, "st_global_2", 1, 0, 0, 32},
    {"16-byte stores in a row", 11, "st_global_16", 1, 0, 0, 16},
    {"lanes with different counts", 12, "st_shared_4", 31, 31, 0, 0},
    {"8 bytes a lane in a row", 14, "st_shared_f32x2", 1, 2, 0, 0},
    {"8 bytes a lane in a column", 15, "st_shared_f32x2", 1, 32, 30, 0},
};

}  // namespace

void add_counters() {
    for (const Expected& e : kExpected)
        add(std::string("counters: ") + e.name, [&e]() -> std::string {
            Buffer in(4096, Role::kInput), out(4096, Role::kOutput);
            Options options;
            options.counters = true;
            Result result = launch(patterns, 1, 32, 32 * 128 + 16, Args{in.address(), out.address(), e.pattern}, options);
            if (!result.ok()) return result.text();
            for (const SiteCounters& site : result.counters) {
                if (site.operation != e.operation) continue;
                std::string wrong = expect_equal(e.requests, site.requests, "requests");
                if (wrong.empty()) wrong = expect_equal(e.transactions, site.transactions, "transactions");
                if (wrong.empty()) wrong = expect_equal(e.excess, site.excess, "excess");
                if (wrong.empty()) wrong = expect_equal(e.sectors, site.sectors, "sectors");
                return wrong;
            }
            return std::string("no counters of ") + e.operation;
        });
    add("counters: a predicated store is a request of its own", []() -> std::string {
        Buffer in(4096, Role::kInput), out(4096, Role::kOutput);
        Options options;
        options.counters = true;
        Result result = launch(patterns, 1, 32, 4096, Args{in.address(), out.address(), 13}, options);
        return expect_equal(2, result.requests("st_shared_4"), "requests");
    });
}

}  // namespace selftest
