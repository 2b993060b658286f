// The emulator's twin of src/main/cuda/ptx.cuh: the same functions, run on a CPU with every access checked.
// It is included first (-include), and its guard then keeps the real one out.
#ifndef JMARLIN_PTX_CUH
#define JMARLIN_PTX_CUH

#include <cstring>

#include "async.hpp"
#include "collectives.hpp"
#include "half.hpp"
#include "machine.hpp"
#include "memory.hpp"

// Entry points and exported constants are found by name in the stand-in driver; nothing else is visible there.
#define __device__ __attribute__((visibility("default")))
#define __global__ __attribute__((visibility("default")))
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__

#define JMARLIN_DEVICE inline __attribute__((always_inline))

namespace jmarlin {

struct Half;
struct Bfloat16;

struct alignas(16) Vec16 { u32 x, y, z, w; };
struct alignas(16) F32x4 { float x, y, z, w; };

namespace emulator {

template <class V>
JMARLIN_DEVICE V load_shared(u32 address, const char* operation, Site site) {
    V v;
    std::memcpy(&v, shared_access(address, {operation, sizeof(V), false, site}), sizeof(V));
    return v;
}

template <class V>
JMARLIN_DEVICE void store_shared(u32 address, const V& v, const char* operation, Site site) {
    std::memcpy(shared_access(address, {operation, sizeof(V), true, site}), &v, sizeof(V));
}

template <class V>
JMARLIN_DEVICE V load_read_only(u64 address, const char* operation, Site site) {
    V v;
    std::memcpy(&v, global_read_only_access(address, {operation, sizeof(V), false, site}), sizeof(V));
    return v;
}

template <class V>
JMARLIN_DEVICE V load_global(u64 address, const char* operation, Site site) {
    V v;
    std::memcpy(&v, global_access(address, {operation, sizeof(V), false, site}), sizeof(V));
    return v;
}

template <class V>
JMARLIN_DEVICE void store_global(u64 address, const V& v, const char* operation, Site site) {
    std::memcpy(global_access(address, {operation, sizeof(V), true, site}), &v, sizeof(V));
}

template <class T> constexpr bool kIsHalf = false;
template <> constexpr bool kIsHalf<Half> = true;

}  // namespace emulator

template <class Integer>
JMARLIN_DEVICE void keep(Integer&) {}

// ---- Threads ----

JMARLIN_DEVICE u32 thread_index() { return emulator::current->index; }
JMARLIN_DEVICE u32 lane_index() { return emulator::current->lane; }
JMARLIN_DEVICE u32 warp_index() { return emulator::current->warp->index; }
JMARLIN_DEVICE u32 block_index() { return emulator::current->block->index; }
JMARLIN_DEVICE u32 grid_size() { return emulator::machine.grid; }
JMARLIN_DEVICE void block_sync(JMARLIN_SITE) { emulator::collective_block_sync(site); }
JMARLIN_DEVICE void warp_sync(JMARLIN_SITE) { emulator::collective_warp_sync(site); }

JMARLIN_DEVICE u32 atomic_inc_acq_rel(u64 address, u32 last, JMARLIN_SITE) { return emulator::atomic_inc(address, last, site); }
JMARLIN_DEVICE u32 shuffle(u32 value, u32 source_lane, JMARLIN_SITE) {
    return emulator::collective_shuffle(value, source_lane, site);
}

// ---- Shared memory ----

JMARLIN_DEVICE u32 dynamic_shared() { return emulator::kSharedBase; }
JMARLIN_DEVICE u32 ld_shared_4(u32 address, JMARLIN_SITE) { return emulator::load_shared<u32>(address, "ld_shared_4", site); }
JMARLIN_DEVICE Vec16 ld_shared_16(u32 address, JMARLIN_SITE) {
    return emulator::load_shared<Vec16>(address, "ld_shared_16", site);
}
JMARLIN_DEVICE F32x4 ld_shared_f32x4(u32 address, JMARLIN_SITE) {
    return emulator::load_shared<F32x4>(address, "ld_shared_f32x4", site);
}
JMARLIN_DEVICE void st_shared_4(u32 address, u32 v, JMARLIN_SITE) { emulator::store_shared(address, v, "st_shared_4", site); }
JMARLIN_DEVICE void st_shared_f32x4(u32 address, const F32x4& v, JMARLIN_SITE) {
    emulator::store_shared(address, v, "st_shared_f32x4", site);
}

// ---- Global memory ----

JMARLIN_DEVICE u32 ld_global_4(u64 address, JMARLIN_SITE) { return emulator::load_read_only<u32>(address, "ld_global_4", site); }
JMARLIN_DEVICE u32 ld_global_2(u64 address, JMARLIN_SITE) { return emulator::load_read_only<u16>(address, "ld_global_2", site); }
JMARLIN_DEVICE Vec16 ld_global_16(u64 address, JMARLIN_SITE) {
    return emulator::load_read_only<Vec16>(address, "ld_global_16", site);
}
JMARLIN_DEVICE F32x4 ld_global_f32x4(u64 address, JMARLIN_SITE) {
    return emulator::load_read_only<F32x4>(address, "ld_global_f32x4", site);
}
JMARLIN_DEVICE F32x4 ld_global_cg_f32x4(u64 address, JMARLIN_SITE) {
    return emulator::load_global<F32x4>(address, "ld_global_cg_f32x4", site);
}
JMARLIN_DEVICE void st_global_2(u64 address, u32 low_16_bits, JMARLIN_SITE) {
    emulator::store_global(address, static_cast<u16>(low_16_bits), "st_global_2", site);
}
JMARLIN_DEVICE void st_global_16(u64 address, const Vec16& v, JMARLIN_SITE) {
    emulator::store_global(address, v, "st_global_16", site);
}
JMARLIN_DEVICE void st_global_f32x4(u64 address, const F32x4& v, JMARLIN_SITE) {
    emulator::store_global(address, v, "st_global_f32x4", site);
}
JMARLIN_DEVICE void prefetch_l2(u64 address, JMARLIN_SITE) { emulator::prefetch_line(address, site); }

// ---- Asynchronous copies ----

JMARLIN_DEVICE u64 policy_evict_first() { return emulator::kPolicyEvictFirst; }
JMARLIN_DEVICE u64 policy_evict_normal() { return emulator::kPolicyEvictNormal; }
JMARLIN_DEVICE void cp_async_16(u32 destination, u64 source, u64 policy, JMARLIN_SITE) {
    emulator::check_policy(policy, site);
    emulator::async_issue(destination, source, 16, site);
}
JMARLIN_DEVICE void cp_async_16_zfill(u32 destination, u64 source, u32 valid_bytes, JMARLIN_SITE) {
    emulator::async_issue(destination, source, valid_bytes, site);
}
JMARLIN_DEVICE void cp_async_commit() { emulator::async_commit(); }
template <int kPending>
JMARLIN_DEVICE void cp_async_wait() { emulator::async_wait(kPending); }

// ---- Tensor cores ----

JMARLIN_DEVICE void ldmatrix_x4(u32 (&d)[4], u32 row_address, JMARLIN_SITE) {
    emulator::collective_ldmatrix(d, row_address, site);
}

template <class T>
JMARLIN_DEVICE void mma_m16n8k16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, JMARLIN_SITE) {
    if constexpr (emulator::kIsHalf<T>) emulator::collective_mma_half(d, a, b0, b1, site);
    else emulator::collective_mma_bfloat16(d, a, b0, b1, site);
}

// ---- Two 16-bit numbers in a register ----

namespace emulator {

template <class T>
inline u32 fma_16(u32 x, u32 s, u32 z) { return kIsHalf<T> ? half_fma(x, s, z) : bfloat16_fma(x, s, z); }

template <class T>
inline u32 fma2(u32 x, u32 s, u32 z) { return fma_16<T>(x & 0xffff, s, z) | fma_16<T>(x >> 16, s, z) << 16; }

template <class T>
inline u32 mul_16(u32 x, u32 y) { return kIsHalf<T> ? half_mul(x, y) : bfloat16_mul(x, y); }

}  // namespace emulator

template <class T>
JMARLIN_DEVICE u32 fma2_low(u32 x, u32 s, u32 z) { return emulator::fma2<T>(x, s & 0xffff, z & 0xffff); }
template <class T>
JMARLIN_DEVICE u32 fma2_high(u32 x, u32 s, u32 z) { return emulator::fma2<T>(x, s >> 16, z >> 16); }
template <class T>
JMARLIN_DEVICE u32 mul2(u32 x, u32 y) {
    return emulator::mul_16<T>(x & 0xffff, y & 0xffff) | emulator::mul_16<T>(x >> 16, y >> 16) << 16;
}

// ---- Conversion ----

namespace emulator {

template <class T>
inline u32 round_16(float v) { return kIsHalf<T> ? float_to_half(v) : float_to_bfloat16(v); }

}  // namespace emulator

template <class T>
JMARLIN_DEVICE float widen(u32 bits) {
    return emulator::kIsHalf<T> ? emulator::half_to_float(bits) : emulator::bfloat16_to_float(bits);
}
template <class T>
JMARLIN_DEVICE u32 pack2(float low, float high) { return emulator::round_16<T>(low) | emulator::round_16<T>(high) << 16; }

}  // namespace jmarlin

#endif  // JMARLIN_PTX_CUH
