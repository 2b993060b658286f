// wgmma with A from registers: clocks, and whether subnormal weights are exact.
#pragma once

#include "hopper/descriptor.cuh"
#include "report.cuh"

namespace {

constexpr int kProducts = 1024;

/**
 * Every warpgroup multiplies kProducts times, in groups of four as the kernel does; the clocks of block 0. kFence: with a fence of
 * the proxies while each group is under way, as a consumer releases a slot.
 */
template <class T, int kCount, bool kFence>
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
        if (kFence) fence_proxy_async();
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
template <class T, int kCount, bool kFence = false>
double measure_wgmma(const char* type, const char* numbers, u32 a_bits) {
    DeviceArray<long long> clocks(1);
    DeviceArray<float> sink(size_t(multiprocessors) * 256);
    double each = 0;
    for (int warpgroups = 1; warpgroups <= 2; ++warpgroups) {
        wgmma_clocks<T, kCount, kFence><<<multiprocessors, warpgroups * 128, kCount * 256 + 1024>>>(a_bits, clocks.data, sink.data);
        CHECK(cudaDeviceSynchronize());
        each = double(clocks.copy(1)[0]) / kProducts / warpgroups;
        std::printf("wgmma m64n%dk16 %s, A %s, %d warpgroup(s)%s: %.1f clocks each    %s\n", kCount * 2, type, numbers, warpgroups,
                    kFence ? ", a fence after every fourth" : "", each,
                    kFence ? "the fence of a consumer's release" : "LEAST_WGMMA_CLOCKS, CLOCKS_PER_WGMMA_COLUMN");
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

}  // namespace
