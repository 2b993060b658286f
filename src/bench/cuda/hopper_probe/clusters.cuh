// Clusters: how many run at once, and what their blocks cost each other.
#pragma once

#include "report.cuh"

namespace {

constexpr u32 kRemoteBytes = 128 * 1024;
constexpr int kRemoteRounds = 64;

/** Every block of a cluster reads all of its neighbour's tile, 8 bytes a lane as the reduction does. */
template <int kBlocks>
__global__ void __cluster_dims__(kBlocks) __launch_bounds__(384, 1) read_neighbour(float* sink, long long* clocks) {
    u32 base = dynamic_shared();
    for (u32 at = thread_index() * 8; at < kRemoteBytes; at += 384 * 8) st_shared_f32x2(base + at, {1.0f, 1.0f});
    cluster_sync();
    u32 remote = cluster_address(base, (cluster_rank() + 1) % kBlocks);
    float sum = 0;
    long long begin = clock64();
    for (int round = 0; round < kRemoteRounds; ++round) {
#pragma unroll 8
        for (u32 at = thread_index() * 8; at < kRemoteBytes; at += 384 * 8) {
            F32x2 v = ld_cluster_f32x2(remote + at);
            sum += v.x + v.y;
        }
    }
    long long end = clock64();
    if (block_index() == 0 && thread_index() == 0) *clocks = end - begin;
    sink[block_index() * 384 + thread_index()] = sum;
    cluster_sync();
}

/** Two blocks send each other tiles of 8 KB through a ring of four, as neighbours in n do with activations: copies both ways at once. */
constexpr u32 kSentBytes = 8192;
constexpr u32 kSendSlots = 4;
constexpr int kSends = 1024;

__global__ void __cluster_dims__(2) __launch_bounds__(64, 1) send_to_neighbour(long long* clocks) {
    u32 base = (dynamic_shared() + 1023) & ~1023u;      // slots to send from, slots to receive in, barriers: full, empty
    u32 received = base + kSendSlots * kSentBytes;
    u32 barriers = received + kSendSlots * kSentBytes;
    if (thread_index() == 0) {
        for (u32 slot = 0; slot < kSendSlots; ++slot) {
            mbarrier_init(barriers + 16 * slot, 1);
            mbarrier_init(barriers + 16 * slot + 8, 1);
        }
        fence_mbarrier_init();
        fence_proxy_async();
    }
    cluster_sync();
    u32 other = cluster_rank() ^ 1;
    long long begin = clock64();
    if (thread_index() == 0) {
        for (int i = 0; i < kSends; ++i) {
            u32 slot = u32(i) % kSendSlots, parity = u32(i) / kSendSlots % 2;
            mbarrier_wait(barriers + 16 * slot + 8, parity ^ 1);
            bulk_copy_to_cluster(cluster_address(received + slot * kSentBytes, other), base + slot * kSentBytes, kSentBytes,
                                 cluster_address(barriers + 16 * slot, other));
        }
    } else if (thread_index() == 32) {
        for (int i = 0; i < kSends; ++i) {
            u32 slot = u32(i) % kSendSlots, parity = u32(i) / kSendSlots % 2;
            mbarrier_arrive_expect_tx(barriers + 16 * slot, kSentBytes);
            mbarrier_wait(barriers + 16 * slot, parity);
            mbarrier_arrive_cluster_if(true, cluster_address(barriers + 16 * slot + 8, other));
        }
        if (block_index() == 0) *clocks = clock64() - begin;
    }
    cluster_sync();
}

void measure_sending() {
    constexpr int kShared = 2 * kSendSlots * kSentBytes + 2048;
    allow_shared(reinterpret_cast<const void*>(send_to_neighbour), kShared);
    DeviceArray<long long> clocks(1);
    send_to_neighbour<<<multiprocessors / 2 * 2, 64, kShared>>>(clocks.data);
    CHECK(cudaDeviceSynchronize());
    std::printf("bulk copies to the neighbour's shared memory, both ways: %.1f bytes per clock and SM    CLUSTER_BYTES_PER_CLOCK\n",
                double(kSentBytes) * kSends / double(clocks.copy(1)[0]));
}

/** Clusters that stay for a while, and the most that were there at once. */
constexpr long long kStayClocks = 2'000'000;

template <int kBlocks>
__global__ void __cluster_dims__(kBlocks) __launch_bounds__(384, 1) stay(u32* here, u32* most) {
    if (cluster_rank() == 0 && thread_index() == 0) {
        atomicMax(most, atomicAdd(here, 1) + 1);
        long long begin = clock64();
        while (clock64() - begin < kStayClocks) {}
        atomicSub(here, 1);
    }
    cluster_sync();
}

/** With as many clusters as there are SMs for, each block alone on its SM. */
template <int kBlocks>
int count_clusters(int shared) {
    allow_shared(reinterpret_cast<const void*>(stay<kBlocks>), shared);
    DeviceArray<u32> counters(2);
    stay<kBlocks><<<multiprocessors / kBlocks * kBlocks, 384, shared>>>(counters.data, counters.data + 1);
    CHECK(cudaDeviceSynchronize());
    return int(counters.copy(2)[1]);
}

/** A cluster that only meets, to time the barrier. */
template <int kBlocks>
__global__ void __cluster_dims__(kBlocks) meet(long long* clocks) {
    cluster_sync();
    long long begin = clock64();
    for (int i = 0; i < 64; ++i) cluster_sync();
    if (block_index() == 0 && thread_index() == 0) *clocks = clock64() - begin;
}

template <int kBlocks>
void measure_cluster(double clock_hz) {
    constexpr int kShared = 220 * 1024;
    const void* kernel = reinterpret_cast<const void*>(read_neighbour<kBlocks>);
    allow_shared(kernel, kShared);
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(unsigned(multiprocessors / kBlocks * kBlocks));
    config.blockDim = dim3(384);
    config.dynamicSmemBytes = kShared;
    int promised = 0;
    CHECK(cudaOccupancyMaxActiveClusters(&promised, kernel, &config));
    int counted = count_clusters<kBlocks>(kShared);
    int clusters = std::min(promised, counted);
    std::printf("clusters of %d blocks with 220 KB at once: %d as the driver says, %d counted, of %d    CLUSTERS_OF_%d\n", kBlocks,
                promised, counted, multiprocessors / kBlocks, kBlocks);
    if (clusters < 1) {
        ++wrong;
        return;
    }
    rate(kBlocks == 2 ? "CLUSTERS_OF_2" : "CLUSTERS_OF_4", clusters);
    DeviceArray<float> sink(size_t(multiprocessors) * 384);
    DeviceArray<long long> clocks(1);
    read_neighbour<kBlocks><<<clusters * kBlocks, 384, kShared>>>(sink.data, clocks.data);
    CHECK(cudaDeviceSynchronize());
    std::printf("reading the neighbour's shared memory, clusters of %d: %.1f bytes per clock and SM    CLUSTER_BYTES_PER_CLOCK\n", kBlocks,
                double(kRemoteBytes) * kRemoteRounds / double(clocks.copy(1)[0]));
    if (kBlocks == 2) rate("CLUSTER_BYTES_PER_CLOCK", double(kRemoteBytes) * kRemoteRounds / double(clocks.copy(1)[0]));
    meet<kBlocks><<<clusters * kBlocks, 384>>>(clocks.data);
    CHECK(cudaDeviceSynchronize());
    std::printf("cluster barrier of %d blocks: %.2f us    CLUSTER_SYNC_SECONDS\n", kBlocks,
                double(clocks.copy(1)[0]) / 64 / clock_hz * 1e6);
}

}  // namespace
