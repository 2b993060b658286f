// Small kernels, each right as it stands and wrong in one way by its argument. The right ones must pass under every
// schedule with all checks on; the wrong ones must be reported, and as what they are.
#include <cstring>

#include "cases.hpp"

namespace selftest {

using namespace jmarlin;

namespace {

// ---- The kernels. Their blocks have 64 threads: two warps. ----

/** Every thread gives its value to the thread opposite, twice, through shared memory. */
void exchange(Args args) {
    u32 t = thread_index(), base = dynamic_shared();
    u32 v = ld_global_4(args.in + 4 * t);
    for (int round = 0; round < 2; ++round) {
        st_shared_4(base + 4 * t, v);
        if (args.defect != 1) block_sync();
        v = ld_shared_4(base + 4 * (63 - t));
        if (args.defect != 2) block_sync();
    }
    put(args.out + 4 * t, v);
}

/** The same inside a warp. */
void exchange_in_warp(Args args) {
    u32 t = thread_index(), base = dynamic_shared();
    u32 v = ld_global_4(args.in + 4 * t);
    st_shared_4(base + 4 * t, v);
    if (args.defect == 0) warp_sync();
    if (args.defect == 1) v += 0 * shuffle(v, 0);   // lanes meet, but memory is not ordered
    v = ld_shared_4(base + 4 * (t ^ 31));
    put(args.out + 4 * t, v);
}

/** A ring of three 1 KB stages, each read by the other warp. */
void pipeline(Args args) {
    constexpr u32 kStages = 3, kStage = 1024, kTurns = 8;
    u32 t = thread_index(), base = dynamic_shared();
    auto issue = [&](u32 turn) {
        if (turn < kTurns)
            cp_async_16(base + turn % kStages * kStage + 16 * t, args.in + turn * kStage + 16 * t, policy_evict_first());
        cp_async_commit();
    };
    for (u32 turn = 0; turn < kStages - 1; ++turn) issue(turn);
    u32 sum = 0;
    for (u32 turn = 0; turn < kTurns; ++turn) {
        if (args.defect == 1) cp_async_wait<2>();       // one too many in flight
        else if (args.defect != 2) cp_async_wait<1>();
        if (args.defect != 3) block_sync();
        if (args.defect == 4) issue(turn + kStages);    // into the stage that is read next
        sum += ld_shared_4(base + turn % kStages * kStage + 16 * (63 - t));
        if (args.defect != 4) issue(turn + kStages - 1);
    }
    if (args.defect == 5) cp_async_16(base + (kTurns - 1) % kStages * kStage + 16 * t, args.in, policy_evict_normal());
    cp_async_commit();
    cp_async_wait<0>();
    put(args.out + 4 * t, sum);
    if (args.defect == 6) cp_async_16(base + 16 * t, args.in, policy_evict_normal());
}

/** Copies the same bytes to the same place twice and looks before the second copy has been waited for. */
void look_too_early(Args args) {
    u32 mine = dynamic_shared() + 16 * thread_index();
    for (int round = 0; round < 2; ++round) {
        cp_async_16(mine, args.in, policy_evict_first());
        cp_async_commit();
        if (round == 1) put(args.out + 4 * thread_index(), ld_shared_4(mine));
        cp_async_wait<0>();
    }
}

/** Every block writes 64 partial values; the last to arrive adds them up. */
void last_arriver(Args args) {
    u32 t = thread_index(), base = dynamic_shared();
    u64 slot = args.other + 1024 * block_index();
    st_global_f32x4(slot + 16 * t, F32x4{1.0f * t, 1, 2, 3});
    if (args.defect != 1) block_sync();
    if (t == 0) {
        u32 arrived;
        if (args.defect == 2) arrived = block_index();   // no atomic: whoever is numbered last believes that he is
        else arrived = atomic_inc_acq_rel(args.counters, grid_size() - 1);
        st_shared_4(base, arrived == grid_size() - 1);
    }
    block_sync();
    if (!ld_shared_4(base)) return;
    float sum = 0;
    for (u32 b = 0; b < grid_size(); ++b) {
        u64 from = args.other + 1024 * b + 16 * (63 - t);
        sum += (args.defect == 3 ? ld_global_f32x4(from) : ld_global_cg_f32x4(from)).x;
    }
    u32 bits;
    std::memcpy(&bits, &sum, 4);
    put(args.out + 4 * t, bits);
}

/** Block 0 tells block 1, which tells block 2: what the first wrote, the last may read. */
void chain(Args args) {
    u32 me = block_index();
    if (thread_index() != 0) return;
    if (me == 0) st_global_16(args.other, Vec16{7, 8, 9, 10});
    if (me > 0) while (!told(args.counters + 4 * (me - 1))) {}
    if (me < 2) tell(args.counters + (args.defect == 1 && me == 1 ? 64 : 4 * me));
    if (me == 2) put(args.out, static_cast<u32>(ld_global_cg_f32x4(args.other).x != 0));
}

/** Accesses that are wrong by themselves. */
void access(Args args) {
    u32 t = thread_index(), base = dynamic_shared();
    u32 d[4];
    Vec16 v{1, 2, 3, 4};
    switch (args.defect) {
        case 1: v = ld_global_16(args.in + 8192 + 16 * t); break;                      // in has 8192 bytes
        case 2: v = ld_global_16(args.in - 16); break;
        case 3: v = ld_global_16(args.other); break;                                   // freed
        case 4: v = ld_global_16(args.in + 8); break;
        case 5: st_global_2(args.in, 1); break;
        case 6: st_shared_f32x4(base + 4096, F32x4{}); break;                          // 4096 bytes of shared memory
        case 7: st_shared_f32x4(base - 16, F32x4{}); break;
        case 8: st_shared_f32x4(base + 8, F32x4{}); break;
        case 9: cp_async_16(base + 16 * t, args.in + 8192, policy_evict_first()); break;
        case 10: cp_async_16(base + 16 * t, args.in + 4, policy_evict_first()); break;
        case 11: cp_async_16(base + 8, args.in, policy_evict_first()); break;
        case 12: cp_async_16(base, args.in, 0); break;                                 // no policy
        case 13: ldmatrix_x4(d, base + 8); break;
        case 14: prefetch_l2(args.in + 8192); break;
        case 15: st_global_2(args.out + 4096 + 1, 1); break;
        case 16: v.x = static_cast<u32>(ld_global_cg_f32x4(args.out + 16 * t).x); break;   // nobody wrote it
        case 17: v = ld_global_16(~0ull - 15); break;
        default:
            cp_async_16_zfill(base + 16 * t, args.in + 8192, 0);                       // reads nothing
            cp_async_16_zfill(base + 1024 + 16 * t, args.in + 8192 - 16, 6);
            cp_async_wait<0>();
            cp_async_commit();
            cp_async_wait<0>();
            v = ld_shared_16(base + 1024 + 16 * t);
            prefetch_l2(args.in + 8191);
    }
    put(args.out + 4 * t, v.x + v.y + v.z + v.w);
}

/** Lanes of a warp that part ways. */
void diverge(Args args) {
    u32 t = lane_index(), base = dynamic_shared();
    float d[4] = {};
    u32 a[4] = {}, b[4] = {};
    st_shared_f32x4(base + 16 * thread_index(), F32x4{});
    block_sync();
    if (args.defect == 1 && t == 5) return;
    if (args.defect == 2 && t < 16) warp_sync();
    if (args.defect == 3 && t == 0) shuffle(1, 0);
    if (args.defect == 4 && t == 7) block_sync();
    ldmatrix_x4(b, base + 16 * t);
    if (t < 16) warp_sync(); else warp_sync();   // two places, one barrier: allowed
    if (args.defect != 5 || t != 3) mma_m16n8k16<Half>(d, a, b[0], b[1]);
    put(args.out + 4 * thread_index(), static_cast<u32>(d[0]));
}

/** Threads that wait for something that nobody does. */
void spin(Args args) {
    if (thread_index() == 0)
        while (atomic_inc_acq_rel(args.counters, args.defect ? 0 : ~0u) < grid_size() + 5) {}
    block_sync();
}

/** More stack than a fiber has. */
void deep(Args args) {
    volatile char waste[FiberStacks::kBytes + 512];
    for (std::size_t i = 0; i < sizeof waste; i += 64) waste[i] = 1;
    if (args.defect == 99) put(args.out, static_cast<u32>(waste[5]));
}

}  // namespace

void add_defects() {
    clean("exchange", exchange, 1, [](Setup& s) { return sum_is(s, [](u32 t) { return 1000.0 + t; }, false); });
    defect("no barrier between write and read", exchange, 1, 1, ErrorKind::kRace);
    defect("no barrier between read and write", exchange, 1, 2, ErrorKind::kRace);

    clean("exchange in a warp", exchange_in_warp, 1,
            [](Setup& s) { return sum_is(s, [](u32 t) { return 1000.0 + (t ^ 31); }, false); });
    defect("shuffle instead of warp_sync", exchange_in_warp, 1, 1, ErrorKind::kRace);
    defect("no warp_sync", exchange_in_warp, 1, 2, ErrorKind::kRace);

    clean("pipeline", pipeline, 1, [](Setup& s) {
        return sum_is(s, [](u32 t) { return 8.0 * (1000 + 4 * (63 - t)) + 256.0 * 28; }, false);
    });
    defect("wait for too little", pipeline, 1, 1, ErrorKind::kAsyncCopy);
    defect("no wait", pipeline, 1, 2, ErrorKind::kAsyncCopy);
    defect("no barrier after the wait", pipeline, 1, 3, ErrorKind::kRace);
    defect("refill of a stage that is being read", pipeline, 1, 4, ErrorKind::kAsyncCopy);
    defect("copy over what others read", pipeline, 1, 5, ErrorKind::kRace);
    defect("copy never waited for", pipeline, 1, 6, ErrorKind::kAsyncCopy, true);

    clean("last arriver", last_arriver, 5, [](Setup& s) {
        if (s.counters.as<u32>()[0] != 0) return std::string("the counter was not reset");
        return sum_is(s, [](u32 t) { return 5.0 * (63 - t); }, true);
    });
    defect("no barrier before the atomic", last_arriver, 5, 1, ErrorKind::kRace);
    defect("no atomic", last_arriver, 5, 2, ErrorKind::kRace);
    defect("partial sums read past coherence", last_arriver, 5, 3, ErrorKind::kNotCoherent);

    clean("chain of atomics", chain, 3, [](Setup& s) { s.counters.reset(); return std::string(); });
    defect("chain with a link missing", chain, 3, 1, ErrorKind::kDeadlock, true);

    clean("accesses", access, 1, [](Setup& s) { return sum_is(s, [](u32) { return 3044.0 + 3045.0; }, false); });
    defect("load behind a buffer", access, 1, 1, ErrorKind::kOutOfBounds, true);
    defect("load before a buffer", access, 1, 2, ErrorKind::kOutOfBounds, true);
    defect("load at the end of the address space", access, 1, 17, ErrorKind::kOutOfBounds, true);
    defect("misaligned load", access, 1, 4, ErrorKind::kMisaligned, true);
    defect("store into an input", access, 1, 5, ErrorKind::kReadOnly, true);
    defect("store behind shared memory", access, 1, 6, ErrorKind::kOutOfBounds, true);
    defect("store before shared memory", access, 1, 7, ErrorKind::kOutOfBounds, true);
    defect("misaligned shared store", access, 1, 8, ErrorKind::kMisaligned, true);
    defect("copy from behind a buffer", access, 1, 9, ErrorKind::kOutOfBounds, true);
    defect("misaligned source of a copy", access, 1, 10, ErrorKind::kMisaligned, true);
    defect("misaligned destination of a copy", access, 1, 11, ErrorKind::kMisaligned, true);
    defect("copy with something else for a policy", access, 1, 12, ErrorKind::kBadArgument, true);
    defect("misaligned row of ldmatrix", access, 1, 13, ErrorKind::kMisaligned, true);
    defect("prefetch behind a buffer", access, 1, 14, ErrorKind::kOutOfBounds, true);
    defect("misaligned 2-byte store", access, 1, 15, ErrorKind::kMisaligned, true);
    defect("load of output that nobody wrote", access, 1, 16, ErrorKind::kUninitialised);
    add("defect: load from a freed buffer", []() -> std::string {
        Setup setup;
        u64 address;
        {
            Buffer gone(4096, Role::kInput);
            address = gone.address();
        }
        Args args{setup.in.address(), setup.out.address(), setup.counters.address(), 3, address};
        Result result = launch(access, 1, 64, 4096, args);
        if (!result.has(ErrorKind::kOutOfBounds)) return "not reported: " + result.text();
        return result.text().find("freed") != std::string::npos ? "" : "does not say that it was freed: " + result.text();
    });

    clean("lanes together", diverge, 1, [](Setup&) { return std::string(); });
    defect("a lane exits before a collective", diverge, 1, 1, ErrorKind::kDivergence, true);
    defect("half a warp in another collective", diverge, 1, 2, ErrorKind::kDivergence, true);
    defect("one lane in another collective", diverge, 1, 3, ErrorKind::kDivergence, true);
    defect("one lane in the block's barrier", diverge, 1, 4, ErrorKind::kDivergence, true);
    defect("one lane leaves out the last collective", diverge, 1, 5, ErrorKind::kDivergence, true);

    clean("waiting for other blocks", spin, 4, [](Setup& s) { s.counters.reset(); return std::string(); });
    defect("waiting for nobody", spin, 4, 1, ErrorKind::kDeadlock, true);

    add("defect: stack overflow", [] {
        Setup setup;
        Result result = setup.run(deep, 1, 0, kPolicies[0], false);
        return result.has(ErrorKind::kStackOverflow) ? std::string() : "not reported: " + result.text();
    });
    add("defect: threads that are no whole warps", [] {
        Result result = launch(access, 1, 40, 4096, Args{});
        return result.has(ErrorKind::kBadArgument) ? std::string() : "not reported: " + result.text();
    });

    add("poison: until the wait the old bytes are gone, even if the new ones are the same", [] {
        Setup setup;
        setup.run(look_too_early, 1, 0, kPolicies[0], false);
        return expect_equal(0xffffffffu, setup.out.as<u32>()[0], "what an early look sees");
    });
    add("poison: shared memory that nobody wrote is not zero", [] {
        Setup setup;
        setup.run(pipeline, 1, 2, kPolicies[0], false);
        double right = 8.0 * (1000 + 4 * 63) + 256.0 * 28;
        return setup.out.as<u32>()[0] != right ? std::string() : std::string("the result is right without a wait");
    });
}

}  // namespace selftest
