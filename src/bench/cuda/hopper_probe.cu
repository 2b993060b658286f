// What the Hopper kernel's predictions rest on, measured one by one. For the first minutes on a GPU of compute capability 9.0:
//
//   nvcc -std=c++17 -O3 -Isrc/main/cuda -gencode=arch=compute_90a,code=sm_90a -o hopper_probe src/bench/cuda/hopper_probe.cu
//   ./hopper_probe
//
// One line per figure: what, its value, and the constant of plan/Rate.java or the claim of docs/hopper.md that it replaces. Clocks are
// those of the SM (clock64); times are the least of five runs between events. It exits with 1 if something is computed wrongly.
// The last line stores the rates for the library's cost model.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "hopper/descriptor.cuh"
#include "ptx_sm90.cuh"

using namespace jmarlin;

namespace {

int wrong = 0;
int multiprocessors = 0;
std::string rates;      // NAME=VALUE,NAME=VALUE

void rate(const char* name, double value) {
    char text[80];
    std::snprintf(text, sizeof(text), "%s%s=%.4g", rates.empty() ? "" : ",", name, value);
    rates += text;
}

void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    std::printf("%s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}
#define CHECK(call) check(call, #call)

/** Milliseconds of the fastest of five runs, after one to warm up. */
template <class Launch>
float milliseconds(Launch launch) {
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    float least = 1e30f;
    for (int run = 0; run < 6; ++run) {
        CHECK(cudaEventRecord(begin));
        launch();
        CHECK(cudaEventRecord(end));
        CHECK(cudaEventSynchronize(end));
        float time;
        CHECK(cudaEventElapsedTime(&time, begin, end));
        if (run > 0) least = std::min(least, time);
    }
    CHECK(cudaGetLastError());
    return least;
}

template <class T>
struct DeviceArray {
    T* data;
    explicit DeviceArray(size_t count) {
        CHECK(cudaMalloc(&data, count * sizeof(T)));
        CHECK(cudaMemset(data, 0, count * sizeof(T)));
    }
    ~DeviceArray() { cudaFree(data); }
    std::vector<T> copy(size_t count) const {
        std::vector<T> host(count);
        CHECK(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
        return host;
    }
};

// ---- 1. wgmma with A from registers ----

constexpr int kProducts = 1024;

/** Every warpgroup multiplies kProducts times, in groups of four as the kernel does; the clocks of block 0. */
template <class T, int kCount>
__global__ void __launch_bounds__(256, 1) wgmma_clocks(u32 a_bits, long long* clocks, float* sink) {
    u32 tile = (dynamic_shared() + 1023) & ~1023u;
    for (u32 i = thread_index(); i < kCount * 2 * 128 / 4; i += blockDim.x) st_shared_4(tile + 4 * i, 0);
    fence_proxy_async();
    block_sync();
    u64 descriptor = hopper::swizzled_descriptor(tile);
    float d[kCount] = {};
    u32 a[4] = {a_bits, a_bits, a_bits, a_bits};
    settle(a);
    long long begin = clock64();
    for (int i = 0; i < kProducts / 4; ++i) {
        wgmma_fence();
#pragma unroll
        for (int j = 0; j < 4; ++j) wgmma_m64k16<T>(d, a, descriptor + 2 * j);
        wgmma_commit();
        wgmma_wait<1>();
    }
    wgmma_wait<0>();
    settle(d);
    long long end = clock64();
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum += d[i];
    if (block_index() == 0 && thread_index() == 0) *clocks = end - begin;
    sink[block_index() * blockDim.x + thread_index()] = sum;
}

/** Clocks of one with two warpgroups. */
template <class T, int kCount>
double measure_wgmma(const char* type, const char* numbers, u32 a_bits) {
    DeviceArray<long long> clocks(1);
    DeviceArray<float> sink(size_t(multiprocessors) * 256);
    double each = 0;
    for (int warpgroups = 1; warpgroups <= 2; ++warpgroups) {
        wgmma_clocks<T, kCount><<<multiprocessors, warpgroups * 128, kCount * 256 + 1024>>>(a_bits, clocks.data, sink.data);
        CHECK(cudaDeviceSynchronize());
        each = double(clocks.copy(1)[0]) / kProducts / warpgroups;
        std::printf("wgmma m64n%dk16 %s, A %s, %d warpgroup(s): %.1f clocks each    LEAST_WGMMA_CLOCKS, CLOCKS_PER_WGMMA_COLUMN\n",
                    kCount * 2, type, numbers, warpgroups, each);
    }
    return each;
}

/** Row 0 of A times column 0 of B, for one pair of 16-bit numbers: 16 equal products. */
template <class T>
__global__ void wgmma_value(u32 a_bits, u32 b_bits, float* result) {
    u32 tile = (dynamic_shared() + 1023) & ~1023u;
    for (u32 i = thread_index(); i < 8 * 128 / 4; i += 128) st_shared_4(tile + 4 * i, b_bits | b_bits << 16);
    fence_proxy_async();
    block_sync();
    float d[4] = {};
    u32 a[4] = {a_bits | a_bits << 16, a_bits | a_bits << 16, a_bits | a_bits << 16, a_bits | a_bits << 16};
    settle(a);
    wgmma_fence();
    wgmma_m64k16<T>(d, a, hopper::swizzled_descriptor(tile));
    wgmma_commit();
    wgmma_wait<0>();
    settle(d);
    if (thread_index() == 0) *result = d[0];
}

template <class T>
void check_subnormal(const char* type, u32 a_bits, u32 b_bits, float expected) {
    DeviceArray<float> result(1);
    wgmma_value<T><<<1, 128, 4096>>>(a_bits, b_bits, result.data);
    CHECK(cudaDeviceSynchronize());
    float actual = result.copy(1)[0];
    wrong += !(actual == expected);
    std::printf("wgmma %s, 16 x subnormal 0x%04x x 0x%04x: %g, expected %g: %s    subnormal weights\n",
                type, a_bits, b_bits, actual, expected, actual == expected ? "exact" : "WRONG");
}

/** The dequantization's FMA on one nibble. */
__global__ void fma_value(u32 x, u32 s, u32 z, u32* result) { *result = fma2_low<Bfloat16>(x, s, z); }

void check_bfloat16_fma() {
    // Nibble 5 is 5 * 2^-133; S = 2^126 = 0x7e80; Z = -8 * 2^-133 * 2^126 = -2^-4 = 0xbd80: (5 - 8) * 2^-7 = -0.0234375 = 0xbcc0.
    DeviceArray<u32> result(1);
    fma_value<<<1, 1>>>(0x00050005, 0x7e807e80, 0xbd80bd80, result.data);
    CHECK(cudaDeviceSynchronize());
    u32 actual = result.copy(1)[0];
    wrong += actual != 0xbcc0bcc0;
    std::printf("HFMA2.BF16 of a subnormal: 0x%08x, expected 0xbcc0bcc0: %s    dequantization in bf16\n", actual,
                actual == 0xbcc0bcc0 ? "exact" : "WRONG");
}

// ---- 2. and 3. copies into shared memory, from L2 and from HBM ----

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

/** The same with cp.async by 128 threads, six groups of 8 KB under way. */
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
        cp_async_wait<6>();
    }
    cp_async_wait<0>();
}

void allow_shared(const void* kernel, int bytes) {
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

void measure_copies(double clock_hz) {
    constexpr u64 kResident = 16ull << 20, kLarge = 4ull << 30;
    constexpr int kRing = 200 * 1024;
    DeviceArray<char> memory(kLarge);
    u64 source = u64(memory.data);
    allow_shared(reinterpret_cast<const void*>(stream_bulk), kRing + 2048);
    allow_shared(reinterpret_cast<const void*>(stream_cp_async), 8 * 8192 + 1024);

    float time = milliseconds([&] { stream_bulk<<<multiprocessors, 32, kRing + 2048>>>(source, kResident, 8192, 16, 50); });
    double bytes_per_second = 50.0 * kResident / time * 1e3;
    std::printf("L2 to shared memory, bulk copies: %.2f TB/s, %.1f bytes per clock and SM    L2_BYTES_PER_CLOCK\n",
                bytes_per_second / 1e12, bytes_per_second / multiprocessors / clock_hz);
    rate("L2_BYTES_PER_CLOCK", bytes_per_second / multiprocessors / clock_hz);
    time = milliseconds([&] { stream_cp_async<<<multiprocessors, 128, 8 * 8192 + 1024>>>(source, kResident, 50); });
    bytes_per_second = 50.0 * kResident / time * 1e3;
    std::printf("L2 to shared memory, cp.async: %.2f TB/s, %.1f bytes per clock and SM    L2_BYTES_PER_CLOCK\n",
                bytes_per_second / 1e12, bytes_per_second / multiprocessors / clock_hz);

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

// ---- 4. and 5. clusters ----

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
            mbarrier_arrive_cluster(cluster_address(barriers + 16 * slot + 8, other));
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
    int clusters = 0;
    CHECK(cudaOccupancyMaxActiveClusters(&clusters, kernel, &config));
    rate(kBlocks == 2 ? "CLUSTERS_OF_2" : "CLUSTERS_OF_4", clusters);
    std::printf("clusters of %d blocks with 220 KB at once: %d of %d    CLUSTERS_OF_%d\n", kBlocks, clusters,
                multiprocessors / kBlocks, kBlocks);
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

// ---- 6. gap between the nodes of a graph ----

__global__ void __launch_bounds__(384, 1) nothing() {}

void measure_graph(int shared) {
    constexpr int kNodes = 200;
    allow_shared(reinterpret_cast<const void*>(nothing), 220 * 1024);
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < kNodes; ++i) nothing<<<multiprocessors, 384, shared, stream>>>();
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    float least = 1e30f;
    for (int run = 0; run < 6; ++run) {
        CHECK(cudaEventRecord(begin, stream));
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaEventRecord(end, stream));
        CHECK(cudaEventSynchronize(end));
        float time;
        CHECK(cudaEventElapsedTime(&time, begin, end));
        if (run > 0) least = std::min(least, time);
    }
    std::printf("empty kernels of 384 threads and %d KB in a graph: %.2f us each    3.3 us of fixed cost per kernel\n", shared / 1024,
                least * 1e3 / kNodes);
}

}  // namespace

int main() {
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    if (device.major != 9 || device.minor != 0) {
        std::printf("%s is of compute capability %d.%d: 9.0 expected\n", device.name, device.major, device.minor);
        return 2;
    }
    multiprocessors = device.multiProcessorCount;
    int clock_khz = 0;
    CHECK(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0));
    double clock_hz = clock_khz * 1e3;
    std::printf("%s, %d SMs, top clock %.0f MHz (clocks below count at the clock of the moment)\n", device.name,
                multiprocessors, clock_hz / 1e6);

    constexpr u32 kOnes = 0x3c003c00, kSubnormals = 0x00050005, kBfloat16Ones = 0x3f803f80;
    rate("LEAST_WGMMA_CLOCKS", measure_wgmma<Half, 4>("fp16", "normal", kOnes));
    measure_wgmma<Half, 4>("fp16", "subnormal", kSubnormals);
    measure_wgmma<Half, 8>("fp16", "normal", kOnes);
    measure_wgmma<Half, 16>("fp16", "normal", kOnes);
    measure_wgmma<Half, 32>("fp16", "normal", kOnes);
    rate("CLOCKS_PER_WGMMA_COLUMN", measure_wgmma<Half, 64>("fp16", "normal", kOnes) / 128);
    measure_wgmma<Bfloat16, 4>("bf16", "normal", kBfloat16Ones);
    measure_wgmma<Bfloat16, 64>("bf16", "normal", kBfloat16Ones);
    check_subnormal<Half>("fp16", 0x0005, 0x3c00, 16 * 5 * 0x1p-24f);       // 5 * 2^-24 * 1
    check_subnormal<Bfloat16>("bf16", 0x0005, 0x7e80, 16 * 5 * 0x1p-7f);    // 5 * 2^-133 * 2^126
    check_bfloat16_fma();
    measure_copies(clock_hz);
    measure_cluster<2>(clock_hz);
    measure_cluster<4>(clock_hz);
    measure_sending();
    measure_graph(0);
    measure_graph(220 * 1024);
    std::printf("jmarlin tune --rate %s\n", rates.c_str());
    return wrong == 0 ? 0 : 1;
}
