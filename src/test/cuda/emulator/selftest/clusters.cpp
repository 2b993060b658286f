// Blocks of a cluster that copy to each other and arrive at each other's mbarriers.
#include "cases.hpp"
#include "ptx_sm90.cuh"

// Not in selftest, where the emulator's names would stand beside the primitives'.
namespace cluster_kernels {

using namespace jmarlin;
using selftest::Args;
using selftest::put;
using selftest::tell;
using selftest::told;

enum Defect {
    kNone,
    kNoProxyFence, kSourceNotThere, kSourceWritten, kDestinationWritten,
    kNeighbourNotAsked, kNeighbourToldEarly, kNoWait, kOneLaneWaits, kWrongLaneTells,
    kTooFewBytes, kTooManyBytes, kNoInitFence, kLateInitFence, kNoClusterSync, kNoLastSync,
    kOwnBarrier, kOwnBlock, kUnmappedDestination, kUnmappedBarrier, kNoBarrier,
    kMisalignedSource, kMisalignedDestination, kMisalignedSize, kNoBytes, kSourceTooLong, kDestinationTooLong,
    kArrivesLate, kCopiesLate, kDestinationLeaves, kSourceLeaves, kDestinationGone, kSourceGone, kArrivesByLuck, kLooksTooEarly
};

/**
 * Two slots, in two halves each. A block fills one half of a slot and hands it to its neighbour, which fills the other. Warp 0
 * fills: when the own warp 1 and the neighbour's are done with the slot. Warp 1 adds both halves up.
 */
void halves(Args args) {
    constexpr u32 kHalf = 512, kRounds = 8;
    int defect = args.defect;
    u32 t = lane_index(), rank = cluster_rank(), base = dynamic_shared();
    auto full = [&](u32 slot) { return base + 16 * slot; };
    auto empty = [&](u32 slot) { return base + 16 * slot + 8; };
    auto half = [&](u32 slot, u32 of) { return base + 1024 + 1024 * slot + kHalf * of; };
    auto there = [&](u32 address) { return cluster_address(address, rank ^ 1); };
    auto hand_over = [&](u32 slot) {
        u32 source = half(slot, rank), bytes = kHalf, destination = there(source), barrier = there(full(slot));
        switch (defect) {
            case kOwnBlock: destination = cluster_address(source, rank);   // falls through
            case kOwnBarrier: barrier = cluster_address(full(slot), rank); break;
            case kUnmappedDestination: destination = source; break;
            case kUnmappedBarrier: barrier = full(slot); break;
            case kNoBarrier: barrier = there(base + 128); break;
            case kMisalignedSource: source += 8; break;
            case kMisalignedDestination: destination += 8; break;
            case kMisalignedSize: bytes = 8; break;
            case kNoBytes: bytes = 0; break;
            case kSourceTooLong: source = base + 4096 - 256; break;
            case kDestinationTooLong: destination = there(base + 4096 - 256); break;
        }
        bulk_copy_to_cluster(destination, source, bytes, barrier);
        if (defect == kSourceWritten) st_shared_4(source, 0);
    };

    if (thread_index() == 0) {
        for (u32 slot = 0; slot < 2; ++slot) {
            mbarrier_init(full(slot), 2);
            mbarrier_init(empty(slot), defect == kNeighbourNotAsked ? 1 : 2);
        }
        if (defect != kNoInitFence && defect != kLateInitFence) fence_mbarrier_init();
    }
    if (defect == kNoClusterSync) block_sync();
    else cluster_sync();
    if (thread_index() == 0 && defect == kLateInitFence) fence_mbarrier_init();

    u32 sum = 0;
    for (u32 round = 0; round < kRounds; ++round) {
        u32 slot = round % 2, parity = round / 2 % 2;
        if (warp_index() == 0) {
            mbarrier_wait(empty(slot), parity ^ 1);
            if (t == 0) mbarrier_arrive_expect_tx(full(slot), defect == kTooFewBytes ? kHalf - 16 : defect == kTooManyBytes ? kHalf + 16 : kHalf);
            cp_async_16(half(slot, rank) + 16 * t, args.in + (2 * round + rank) * kHalf + 16 * t, policy_evict_first());
            cp_async_commit();
            if (defect != kSourceNotThere) cp_async_wait<0>();
            if (defect != kNoProxyFence) fence_proxy_async();
            warp_sync();
            if (t == 0) {
                hand_over(slot);
                mbarrier_arrive(full(slot));
            }
            if (defect == kSourceNotThere) cp_async_wait<0>();
        } else {
            if (defect != kNoWait && (t == 0 || (defect != kOneLaneWaits && defect != kWrongLaneTells))) mbarrier_wait(full(slot), parity);
            if (defect == kNeighbourToldEarly && t == 0) mbarrier_arrive_cluster(there(empty(slot)));
            if (defect == kOneLaneWaits) shuffle(0, 0);   // meet, but are told nothing
            if (t == 0 || defect != kWrongLaneTells)
                for (u32 of = 0; of < 2; ++of) sum += ld_shared_4(half(slot, of) + 16 * (31 - t));
            if (defect == kDestinationWritten) st_shared_4(half(slot, rank ^ 1) + 16 * t, 0);
            if (defect == kWrongLaneTells) shuffle(0, 0);
            else warp_sync();
            if (t == (defect == kWrongLaneTells ? 1 : 0)) {
                if (round % 2) mbarrier_arrive_cluster(cluster_address(empty(slot), rank));
                else mbarrier_arrive(empty(slot));
                if (defect != kNeighbourNotAsked && defect != kNeighbourToldEarly) mbarrier_arrive_cluster(there(empty(slot)));
            }
        }
    }
    if (warp_index() == 1) put(args.out + 4 * (32 * block_index() + t), sum);
    if (defect != kNoLastSync) cluster_sync();
}

/**
 * Block 1 announces what block 0 sends only when it has landed, and when bytes that count on the same mbarrier and that it
 * fetched itself have too. Block 0 learns by an atomic that the source is free.
 */
void early(Args args) {
    u32 t = thread_index(), rank = cluster_rank(), base = dynamic_shared();
    u32 full = base, fetched = base + 8, sent = base + 16, place = base + 1024;
    auto fetch = [&](u32 to, u64 from, u32 bytes, u32 parity) {
        mbarrier_arrive_expect_tx(fetched, bytes);
        bulk_copy(to, from, bytes, fetched, policy_evict_first());
        mbarrier_wait(fetched, parity);
    };
    if (t == 0) {
        mbarrier_init(full, 2);
        mbarrier_init(fetched, 1);
        mbarrier_init(sent, 1);
        fence_mbarrier_init();
    }
    cluster_sync();
    if (rank == 0 && t == 0) {
        fetch(place, args.in, 512, 0);
        bulk_copy_to_cluster(cluster_address(place, 1), place, 512, cluster_address(full, 1));
        mbarrier_arrive_cluster(cluster_address(sent, 1));
        while (!told(args.counters)) {}
        st_shared_4(place, 1);
    }
    if (rank == 1) {
        if (t == 0) {
            mbarrier_wait(sent, 0);
            fetch(place + 1024, args.in, 16, 0);
            mbarrier_arrive_expect_tx(full, 256);
            bulk_copy(place + 512, args.in + 4096, 256, full, policy_evict_first());
            fetch(place + 1024, args.in, 16, 1);
            mbarrier_arrive_expect_tx(full, 512);
        }
        mbarrier_wait(full, 0);
        put(args.out + 4 * t, ld_shared_4(place + 4 * t) + ld_shared_4(place + 512 + 4 * t));
        if (t == 0) tell(args.counters);
    }
    cluster_sync();
}

/** Block 0 sends something to block 1, and one of them leaves. */
void leave(Args args) {
    u32 t = thread_index(), rank = cluster_rank(), base = dynamic_shared(), place = base + 1024;
    auto give_way = [&](u64 counter) {
        for (u32 i = 0; i < 10000; ++i) told(counter);
    };
    bool lucky = args.defect == kArrivesByLuck || args.defect == kDestinationLeaves || args.defect == kSourceLeaves;
    bool late = args.defect == kArrivesLate || args.defect == kCopiesLate;
    if (t == 0) {
        mbarrier_init(base, 1);
        fence_mbarrier_init();
    }
    st_shared_f32x4(place + 16 * t, F32x4{});
    fence_proxy_async();
    cluster_sync();
    if (t == 0 && rank == 0) {
        if (late) {
            while (!told(args.counters)) {}
            give_way(args.counters);
        }
        if (args.defect == kArrivesLate || args.defect == kArrivesByLuck) mbarrier_arrive_cluster(cluster_address(base, 1));
        else bulk_copy_to_cluster(cluster_address(place, 1), place, 1024, cluster_address(base, 1));
        if (lucky) give_way(args.counters + 64);
        if (args.defect == kDestinationGone) mbarrier_wait(base, 0);   // nobody arrives: the copy lands now
    }
    if (t == 0 && rank == 1) {
        if (late) tell(args.counters);
        if (lucky) give_way(args.counters + 128);
        if (args.defect == kLooksTooEarly) put(args.out, ld_shared_4(place));
        if (args.defect == kNone || args.defect == kSourceLeaves || args.defect == kSourceGone) {
            mbarrier_arrive_expect_tx(base, 1024);
            mbarrier_wait(base, 0);
        }
    }
    if (args.defect == kNone) cluster_sync();
}

/** More bytes than an mbarrier counts, announced by nobody. */
void flood(Args) {
    u32 base = dynamic_shared(), place = base + 1024;
    if (thread_index() == 0) {
        mbarrier_init(base, 1);
        fence_mbarrier_init();
    }
    cluster_sync();
    if (cluster_rank() == 0 && thread_index() == 0)
        for (u32 i = 0; i < 512; ++i) bulk_copy_to_cluster(cluster_address(place, 1), place, 2048, cluster_address(base, 1));
    if (cluster_rank() == 1) mbarrier_wait(base, 0);
    cluster_sync();
}

}  // namespace cluster_kernels

namespace selftest {

using namespace cluster_kernels;

namespace {

/** The defect is reported in one of these ways, whatever the schedule; `always` without the race detector too. */
void caught(const std::string& name, Kernel kernel, Defect number, const std::vector<std::string>& ways, bool always = false) {
    for (const Policy& policy : kPolicies)
        add("defect: " + name + ", " + policy.name, [=]() -> std::string {
            for (bool races : {true, false}) {
                if (!races && !always) continue;
                Setup setup;
                std::string text = setup.run(kernel, 2, number, policy, races, 2).text();
                bool found = false;
                for (const std::string& way : ways) found = found || text.find(way) != std::string::npos;
                if (!found) return "not reported as '" + ways[0] + "': " + text;
            }
            return "";
        });
}

}  // namespace

void add_clusters() {
    clean("halves exchanged in a cluster", halves, 4, [](Setup& s) {
        for (u32 i = 0; i < 128; ++i) {   // word 4 * (31 - lane) of 16 halves of 128 words
            std::string wrong = expect_equal(31360 + 64 * (31 - i % 32), s.out.as<u32>()[i], "sum " + std::to_string(i));
            if (!wrong.empty()) return wrong;
        }
        return std::string();
    }, 2);
    caught("no proxy fence before a copy to the neighbour", halves, kNoProxyFence, {"PROXY: bulk_copy_to_cluster"});
    caught("no proxy fence before the neighbour's copy", halves, kDestinationWritten, {"PROXY: bulk_copy_to_cluster"});
    caught("source of a copy not there yet", halves, kSourceNotThere, {"is in flight"});
    caught("source written while it is copied", halves, kSourceWritten, {"still reads it"});
    caught("slot refilled without asking the neighbour", halves, kNeighbourNotAsked, {"RACE", "ASYNC COPY"});
    caught("neighbour told too early", halves, kNeighbourToldEarly, {"RACE", "ASYNC COPY"});
    caught("no wait for the neighbour's copy", halves, kNoWait, {"RACE", "ASYNC COPY"});
    caught("neighbour's copy read by who did not wait", halves, kOneLaneWaits, {"its mbarrier was not waited for"});
    caught("neighbour told by who did not wait", halves, kWrongLaneTells, {"nothing tells this thread that the copy is over"});
    caught("more bytes than announced", halves, kTooFewBytes, {"16 bytes more landed than were announced"}, true);
    caught("fewer bytes than announced", halves, kTooManyBytes, {"DEADLOCK"}, true);
    caught("mbarriers not shown to the cluster", halves, kNoInitFence, {"that no fence_mbarrier_init followed"}, true);
    caught("mbarriers shown too late", halves, kLateInitFence, {"no fence_mbarrier_init followed", "nothing orders its initialisation"});
    caught("mbarriers used before the cluster's barrier", halves, kNoClusterSync, {"there is no mbarrier", "nothing orders its initialisation"});
    caught("blocks leave while others arrive", halves, kNoLastSync, {"exited"});
    caught("copy counted on the own mbarrier", halves, kOwnBarrier, {"the same other block"}, true);
    caught("copy to the own block", halves, kOwnBlock, {"the same other block"}, true);
    caught("copy to an address that is not mapped", halves, kUnmappedDestination, {"is not a mapped address of 512"}, true);
    caught("mbarrier's address not mapped", halves, kUnmappedBarrier, {"is not a mapped address of 8"}, true);
    caught("no mbarrier there", halves, kNoBarrier, {"there is no mbarrier at"}, true);
    caught("misaligned source of a copy to the neighbour", halves, kMisalignedSource, {"MISALIGNED"}, true);
    caught("misaligned destination of a copy to the neighbour", halves, kMisalignedDestination, {"aligned bytes"}, true);
    caught("misaligned size of a copy to the neighbour", halves, kMisalignedSize, {"MISALIGNED"}, true);
    caught("copy of nothing to the neighbour", halves, kNoBytes, {"of 0 bytes"}, true);
    caught("copy from behind shared memory", halves, kSourceTooLong, {"OUT OF BOUNDS"}, true);
    caught("copy behind the neighbour's shared memory", halves, kDestinationTooLong, {"OUT OF BOUNDS"}, true);

    clean("bytes that come before they are announced", early, 2, [](Setup& s) {
        s.counters.reset();
        return sum_is(s, [](u32 t) { return 3024.0 + 2 * t; }, false);
    }, 2);
    caught("too many bytes before they are announced", flood, kNone, {"more than its mbarrier can count"}, true);

    clean("a copy before the end", leave, 2, [](Setup&) { return std::string(); }, 2);
    caught("arrival at a block that has left", leave, kArrivesLate, {"which has exited"}, true);
    caught("copy to a block that has left", leave, kCopiesLate, {"which has exited"}, true);
    caught("arrival at a block that happens to be there", leave, kArrivesByLuck, {"may have exited before block 0, warp 0, lane 0 touches"});
    caught("block leaves before a copy to it lands", leave, kDestinationLeaves, {"block 1 may have exited before the bulk copy"});
    caught("block leaves before a copy from it is over", leave, kSourceLeaves, {"block 0 may have exited before the bulk copy"});
    add("poison: until a neighbour's copy lands the old bytes are gone, even if the new ones are the same", [] {
        Setup setup;
        setup.run(leave, 2, kLooksTooEarly, kPolicies[0], false, 2);
        return expect_equal(0xffffffffu, setup.out.as<u32>()[0], "what an early look sees");
    });
    for (Defect leaver : {kDestinationGone, kSourceGone})
        add(leaver == kSourceGone ? "defect: source gone when a copy lands" : "defect: destination gone when a copy lands", [=] {
            Setup setup;
            std::string text = setup.run(leave, 2, leaver, kPolicies[0], false, 2).text();
            return text.find("exited while the bulk copy") != std::string::npos ? std::string() : "not reported: " + text;
        });
}

}  // namespace selftest
