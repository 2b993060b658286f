// Copies into shared memory, from L2 and from HBM, and what the fences between them cost.
#pragma once

#include "report.cuh"

namespace {

/** Every block streams its share of the bytes, round after round, through a ring of `depth` slots by bulk copies. */
__global__ void stream_bulk(u64 source, u64 bytes, u32 slot_bytes, u32 depth, u32 rounds) {
    u32 barriers = dynamic_shared();
    u32 slots = (barriers + 1024 + 1023) & ~1023u;
    if (thread_index() != 0) return;
    for (u32 i = 0; i < depth; ++i) mbarrier_init(barriers + 8 * i, 1);
    fence_mbarrier_init();
    fence_proxy_async();
    u64 policy = policy_evict_first();
    u64 share = bytes / grid_size() / slot_bytes;
    u64 begin = source + share * slot_bytes * block_index();
    u64 total = share * rounds;
    for (u64 i = 0; i < total + depth; ++i) {
        u32 slot = u32(i % depth);
        if (i >= depth) mbarrier_wait(barriers + 8 * slot, u32(i / depth + 1) & 1);
        if (i < total) {
            mbarrier_arrive_expect_tx(barriers + 8 * slot, slot_bytes);
            bulk_copy(slots + slot * slot_bytes, begin + i % share * slot_bytes, slot_bytes, barriers + 8 * slot, policy);
        }
    }
}

/** The same with cp.async by 128 threads, kPending groups of 8 KB under way; kFence: each that landed is fenced, as by the producer. */
template <int kPending, bool kFence>
__global__ void stream_cp_async(u64 source, u64 bytes, u32 rounds) {
    constexpr u32 kGroup = 8192;
    u32 slots = dynamic_shared();
    u64 share = bytes / grid_size() / kGroup;
    u64 begin = source + share * kGroup * block_index();
    for (u64 i = 0; i < share * rounds; ++i) {
        u32 slot = slots + u32(i % 8) * kGroup;
        u64 from = begin + i % share * kGroup;
        for (u32 at = thread_index() * 16; at < kGroup; at += 128 * 16) cp_async_16_zfill(slot + at, from + at, 16);
        cp_async_commit();
        cp_async_wait<kPending>();
        if (kFence) fence_proxy_async();
    }
    cp_async_wait<0>();
}

/** Clocks of a fence of the proxies by one warp, with a younger cp.async of cold memory under way and without. */
__global__ void fence_clocks(u64 source, bool younger, long long* clocks) {
    u32 slot = dynamic_shared() + lane_index() * 16;
    cp_async_16_zfill(slot, source + lane_index() * 16, 16);
    cp_async_commit();
    cp_async_wait<0>();
    if (younger) cp_async_16_zfill(slot + 512, source + (1 << 20) + lane_index() * 16, 16);
    cp_async_commit();
    long long begin = clock64();
    fence_proxy_async();
    long long end = clock64();
    cp_async_wait<0>();
    if (lane_index() == 0) *clocks = end - begin;
}

void measure_copies(double clock_hz) {
    constexpr u64 kResident = 16ull << 20, kLarge = 4ull << 30;
    constexpr int kRing = 200 * 1024;
    DeviceArray<char> memory(kLarge);
    u64 source = u64(memory.data);
    allow_shared(reinterpret_cast<const void*>(stream_bulk), kRing + 2048);
    constexpr int kGroups = 8 * 8192 + 1024;

    float time = milliseconds([&] { stream_bulk<<<multiprocessors, 32, kRing + 2048>>>(source, kResident, 8192, 16, 50); });
    double bytes_per_second = 50.0 * kResident / time * 1e3;
    std::printf("L2 to shared memory, bulk copies: %.2f TB/s, %.1f bytes per clock and SM    L2_BYTES_PER_CLOCK\n",
                bytes_per_second / 1e12, bytes_per_second / multiprocessors / clock_hz);
    rate("L2_BYTES_PER_CLOCK", bytes_per_second / multiprocessors / clock_hz);
    auto cp_async = [&](auto kernel, const char* how, const char* what) {
        allow_shared(reinterpret_cast<const void*>(kernel), kGroups);
        time = milliseconds([&] { kernel<<<multiprocessors, 128, kGroups>>>(source, kResident, 50); });
        bytes_per_second = 50.0 * kResident / time * 1e3;
        std::printf("L2 to shared memory, cp.async, %s: %.2f TB/s, %.1f bytes per clock and SM    %s\n", how, bytes_per_second / 1e12,
                    bytes_per_second / multiprocessors / clock_hz, what);
    };
    // If the fence waits for younger copies, the fourth line is as the third: then the producer's lag buys nothing.
    cp_async(stream_cp_async<6, false>, "six groups under way", "L2_BYTES_PER_CLOCK");
    cp_async(stream_cp_async<3, false>, "three groups under way", "Shape::kActivationLag");
    cp_async(stream_cp_async<0, true>, "none under way, fenced", "Shape::kActivationLag");
    cp_async(stream_cp_async<3, true>, "three groups under way, each fenced", "Shape::kActivationLag");
    DeviceArray<long long> clocks(1);
    for (bool younger : {false, true}) {
        // Twice, since the first time the code is in no cache; of memory that nothing here has read yet.
        for (u64 run = 0; run < 2; ++run) {
            u64 cold = source + (1ull << 30) + (2 * run + younger) * (8ull << 20);
            fence_clocks<<<1, 32, 2048>>>(cold, younger, clocks.data);
        }
        CHECK(cudaDeviceSynchronize());
        std::printf("fence.proxy.async %s: %lld clocks    Shape::kActivationLag\n",
                    younger ? "with a younger cp.async under way" : "alone", clocks.copy(1)[0]);
    }

    double fastest = 0;
    for (u32 slot_kb : {4, 8, 16, 32}) {
        for (u32 in_flight_kb : {32, 64, 128, 192}) {
            u32 depth = in_flight_kb / slot_kb;
            time = milliseconds([&] { stream_bulk<<<multiprocessors, 32, kRing + 2048>>>(source, kLarge, slot_kb * 1024, depth, 1); });
            std::printf("HBM to shared memory, stages of %u KB, %u KB in flight: %.2f TB/s    DRAM_EFFICIENCY, LOADED_LATENCY_SECONDS\n",
                        slot_kb, in_flight_kb, kLarge / time / 1e9);
            fastest = std::max(fastest, kLarge / time * 1e3);
        }
    }
    int memory_khz = 0, bus_bits = 0;
    CHECK(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, 0));
    CHECK(cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, 0));
    double peak = 2e3 * memory_khz * bus_bits / 8;      // double data rate
    if (peak > 0) rate("DRAM_EFFICIENCY", std::min(1.0, fastest / peak));
}

}  // namespace
