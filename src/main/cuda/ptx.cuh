// Every machine operation the kernels use, one function per instruction. Nothing else in src/main/cuda touches
// memory, threads or tensor cores. The tests execute the PTX that becomes of it (src/test/cuda/machine).
//
// Section numbers of the comments are those of "Parallel Thread Execution ISA", version 9.0.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#define JMARLIN_DEVICE __device__ __forceinline__

namespace jmarlin {

using u32 = unsigned int;
using u64 = unsigned long long;
using s32 = int;
using s64 = long long;

// Element types of activations, scales and results.
struct Half;
struct Bfloat16;

struct alignas(8) Vec8 { u32 x, y; };
struct alignas(16) Vec16 { u32 x, y, z, w; };
struct alignas(16) F32x4 { float x, y, z, w; };

// No instruction: hides how a value came about, so that the compiler holds it in a register and does not compute it
// again at every use.
template <class Integer>
JMARLIN_DEVICE void keep(Integer& value) { asm volatile("" : "+r"(value)); }

// ---- Threads (10, special registers; 9.7.13, barriers) ----

JMARLIN_DEVICE u32 thread_index() { return threadIdx.x; }
JMARLIN_DEVICE u32 lane_index() { return threadIdx.x % 32; }
JMARLIN_DEVICE u32 warp_index() { return threadIdx.x / 32; }
JMARLIN_DEVICE u32 block_index() { return blockIdx.x; }
JMARLIN_DEVICE u32 grid_size() { return gridDim.x; }

// bar.sync: execution barrier of the block; orders its shared and global accesses.
JMARLIN_DEVICE void block_sync() { __syncthreads(); }

// bar.warp.sync: the same for the 32 lanes of a warp.
JMARLIN_DEVICE void warp_sync() { __syncwarp(); }

// atom.acq_rel.gpu.inc: publishes what happened before it and sees what earlier arrivals published. Counts arrivals 0 .. last;
// the last one returns the counter to 0. Returns the old value.
JMARLIN_DEVICE u32 atomic_inc_acq_rel(u64 address, u32 last) {
    u32 old;
    asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;" : "=r"(old) : "l"(address), "r"(last) : "memory");
    return old;
}

// shfl.sync.idx: the value of lane `source_lane`.
JMARLIN_DEVICE u32 shuffle(u32 value, u32 source_lane) { return __shfl_sync(0xffffffffu, value, source_lane); }
JMARLIN_DEVICE float shuffle(float value, u32 source_lane) { return __shfl_sync(0xffffffffu, value, source_lane); }

// ---- Shared memory (9.7.9, ld and st): addresses are byte offsets in the shared window ----

// Start of the block's dynamic shared memory, 128-byte aligned.
JMARLIN_DEVICE u32 dynamic_shared() {
    extern __shared__ __align__(128) unsigned char jmarlin_shared[];
    return static_cast<u32>(__cvta_generic_to_shared(jmarlin_shared));
}

JMARLIN_DEVICE u32 ld_shared_4(u32 address) {
    u32 v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE Vec8 ld_shared_8(u32 address) {
    Vec8 v;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE float ld_shared_f32(u32 address) {
    float v;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE Vec16 ld_shared_16(u32 address) {
    Vec16 v;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE F32x4 ld_shared_f32x4(u32 address) {
    F32x4 v;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE void st_shared_4(u32 address, u32 v) {
    asm volatile("st.shared.u32 [%0], %1;" :: "r"(address), "r"(v) : "memory");
}

JMARLIN_DEVICE void st_shared_f32(u32 address, float v) {
    asm volatile("st.shared.f32 [%0], %1;" :: "r"(address), "f"(v) : "memory");
}

JMARLIN_DEVICE void st_shared_f32x4(u32 address, const F32x4& v) {
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};"
                 :: "r"(address), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}

// ---- Global memory (9.7.9) ----

// ld.global.nc: data that nobody writes while the kernel runs.
JMARLIN_DEVICE u32 ld_global_4(u64 address) {
    u32 v;
    asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(address));
    return v;
}

JMARLIN_DEVICE u32 ld_global_2(u64 address) {
    unsigned short v;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(v) : "l"(address));
    return v;
}

JMARLIN_DEVICE float ld_global_f32(u64 address) {
    float v;
    asm volatile("ld.global.nc.f32 %0, [%1];" : "=f"(v) : "l"(address));
    return v;
}

JMARLIN_DEVICE Vec16 ld_global_16(u64 address) {
    Vec16 v;
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(address));
    return v;
}

JMARLIN_DEVICE F32x4 ld_global_f32x4(u64 address) {
    F32x4 v;
    asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(address));
    return v;
}

// ld.global: data that this thread itself writes while the kernel runs.
JMARLIN_DEVICE F32x4 ld_global_own_f32x4(u64 address) {
    F32x4 v;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(address) : "memory");
    return v;
}

// ld.global.cg: past L1, which is not coherent with the other blocks' stores.
JMARLIN_DEVICE F32x4 ld_global_cg_f32x4(u64 address) {
    F32x4 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(address) : "memory");
    return v;
}

// ld.global: data that this kernel may write too, each element by the thread that has read it.
JMARLIN_DEVICE u32 ld_global_written_2(u64 address) {
    unsigned short v;
    asm volatile("ld.global.u16 %0, [%1];" : "=h"(v) : "l"(address) : "memory");
    return v;
}

JMARLIN_DEVICE float ld_global_written_f32(u64 address) {
    float v;
    asm volatile("ld.global.f32 %0, [%1];" : "=f"(v) : "l"(address) : "memory");
    return v;
}

JMARLIN_DEVICE Vec8 ld_global_written_8(u64 address) {
    Vec8 v;
    asm volatile("ld.global.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(address) : "memory");
    return v;
}

JMARLIN_DEVICE F32x4 ld_global_written_f32x4(u64 address) {
    F32x4 v;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(address) : "memory");
    return v;
}

JMARLIN_DEVICE void st_global_f32(u64 address, float v) {
    asm volatile("st.global.f32 [%0], %1;" :: "l"(address), "f"(v) : "memory");
}

JMARLIN_DEVICE void st_global_8(u64 address, const Vec8& v) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" :: "l"(address), "r"(v.x), "r"(v.y) : "memory");
}

JMARLIN_DEVICE void st_global_2(u64 address, u32 low_16_bits) {
    asm volatile("st.global.u16 [%0], %1;" :: "l"(address), "h"(static_cast<unsigned short>(low_16_bits)) : "memory");
}

JMARLIN_DEVICE void st_global_4(u64 address, u32 v) {
    asm volatile("st.global.u32 [%0], %1;" :: "l"(address), "r"(v) : "memory");
}

JMARLIN_DEVICE void st_global_16(u64 address, const Vec16& v) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
                 :: "l"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

JMARLIN_DEVICE void st_global_f32x4(u64 address, const F32x4& v) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};"
                 :: "l"(address), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}

// prefetch.global.L2: a hint for the line that holds `address`.
JMARLIN_DEVICE void prefetch_l2(u64 address) {
    asm volatile("prefetch.global.L2 [%0];" :: "l"(address));
}

// ---- Asynchronous copies (9.7.9.25, cp.async; 9.7.9.15, createpolicy) ----

// createpolicy: how long the L2 keeps what a copy brings in.
JMARLIN_DEVICE u64 policy_evict_first() {
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

JMARLIN_DEVICE u64 policy_evict_normal() {
    u64 policy;
    asm("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

// cp.async.cg: 16 bytes from global to shared memory, past L1. The bytes may be read after a wait of this thread
// for their group, and by other threads after a barrier that follows that wait.
// Without a branch, in the place where it stands: a copy that is skipped costs its issue.
JMARLIN_DEVICE void cp_async_16_if(bool wanted, u32 destination, u64 source, u64 policy) {
    asm volatile("{\n"
                 ".reg .pred wanted;\n"
                 "setp.ne.u32 wanted, %3, 0;\n"
                 "@wanted cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;\n"
                 "}"
                 :: "r"(destination), "l"(source), "l"(policy), "r"(static_cast<u32>(wanted)) : "memory");
}

JMARLIN_DEVICE void cp_async_16_if(bool wanted, u32 destination, u64 source) {
    asm volatile("{\n"
                 ".reg .pred wanted;\n"
                 "setp.ne.u32 wanted, %2, 0;\n"
                 "@wanted cp.async.cg.shared.global [%0], [%1], 16;\n"
                 "}"
                 :: "r"(destination), "l"(source), "r"(static_cast<u32>(wanted)) : "memory");
}

// The first `valid_bytes` (0 to 16) are copied, the rest is zero; nothing is read when that is 0.
JMARLIN_DEVICE void cp_async_16_zfill(u32 destination, u64 source, u32 valid_bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"(destination), "l"(source), "r"(valid_bytes) : "memory");
}

// cp.async.commit_group: closes the group of this thread's copies since the last one (possibly none).
JMARLIN_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// cp.async.wait_group: until at most kPending of this thread's groups, the youngest, are under way.
template <int kPending>
JMARLIN_DEVICE void cp_async_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(kPending) : "memory"); }

// ---- Tensor cores (9.7.14.5) ----

// ldmatrix: lane 8i + r names row r (16 bytes) of 8x8 matrix i; lane l receives elements 2(l%4), 2(l%4)+1 of row l/4 of each.
JMARLIN_DEVICE void ldmatrix_x4(u32 (&d)[4], u32 row_address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(row_address) : "memory");
}

// mma.m16n8k16, D += A * B in fp32. Lane l, r = l/4, t = l%4 holds (pairs: lower index in the low half)
//   a0: A[r][2t..]   a1: A[r+8][2t..]   a2: A[r][2t+8..]   a3: A[r+8][2t+8..]
//   b0: B[2t..][r]   b1: B[2t+8..][r]
//   d0, d1: D[r][2t], D[r][2t+1]   d2, d3: D[r+8][2t], D[r+8][2t+1]
template <class T>
JMARLIN_DEVICE void mma_m16n8k16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1);

template <>
JMARLIN_DEVICE void mma_m16n8k16<Half>(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
JMARLIN_DEVICE void mma_m16n8k16<Bfloat16>(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// mma.sp.m16n8k32 with ordered metadata (9.7.14.6), D += A * B in fp32, with two of every four k of A stored: A and D as above, A's
// 16 k being the stored ones, and of B's 32 k
//   b0: B[2t..][r]   b1: B[2t+8..][r]   b2: B[2t+16..][r]   b3: B[2t+24..][r]
// A quad of k has four bits, first | second << 2, first < second. Those of row r are the low half of `places`, of row r + 8 the
// high one, quad 0 lowest: in lane t = 2 kSelector of k 0 .. 15, in the next one of k 16 .. 31. The other lanes' do not count.
template <class T, int kSelector>
JMARLIN_DEVICE void mma_sp_m16n8k32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[4], u32 places) {
    if constexpr (std::is_same_v<T, Half>) {
        asm("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, %13;"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(places), "n"(kSelector));
    } else {
        asm("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, %13;"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(places), "n"(kSelector));
    }
}

// ---- Bytes of a register (9.7.9.7, prmt) ----

// prmt.b32: byte i of the result is byte (selector >> 4 i) & 7 of the eight of `low` and `high`.
JMARLIN_DEVICE u32 permute_bytes(u32 low, u32 high, u32 selector) { return __byte_perm(low, high, selector); }

// ---- Two 16-bit numbers in a register (9.7.4, half precision) ----
// NOTES: intrinsics, not asm: the compiler then folds the broadcast of a half into the instruction's operand.

JMARLIN_DEVICE __half2 as_half2(u32 bits) { return *reinterpret_cast<__half2*>(&bits); }
JMARLIN_DEVICE u32 bits_of(__half2 v) { return *reinterpret_cast<u32*>(&v); }
JMARLIN_DEVICE __nv_bfloat162 as_bfloat2(u32 bits) { return *reinterpret_cast<__nv_bfloat162*>(&bits); }
JMARLIN_DEVICE u32 bits_of(__nv_bfloat162 v) { return *reinterpret_cast<u32*>(&v); }

// fma.rn.{f16x2, bf16x2}: x * s + z in both halves, one rounding, subnormals kept; s and z are the low half of their register.
template <class T>
JMARLIN_DEVICE u32 fma2_low(u32 x, u32 s, u32 z);

template <>
JMARLIN_DEVICE u32 fma2_low<Half>(u32 x, u32 s, u32 z) {
    return bits_of(__hfma2(as_half2(x), __low2half2(as_half2(s)), __low2half2(as_half2(z))));
}

template <>
JMARLIN_DEVICE u32 fma2_low<Bfloat16>(u32 x, u32 s, u32 z) {
    return bits_of(__hfma2(as_bfloat2(x), __low2bfloat162(as_bfloat2(s)), __low2bfloat162(as_bfloat2(z))));
}

// The same with the high halves of s and z.
template <class T>
JMARLIN_DEVICE u32 fma2_high(u32 x, u32 s, u32 z);

template <>
JMARLIN_DEVICE u32 fma2_high<Half>(u32 x, u32 s, u32 z) {
    return bits_of(__hfma2(as_half2(x), __high2half2(as_half2(s)), __high2half2(as_half2(z))));
}

template <>
JMARLIN_DEVICE u32 fma2_high<Bfloat16>(u32 x, u32 s, u32 z) {
    return bits_of(__hfma2(as_bfloat2(x), __high2bfloat162(as_bfloat2(s)), __high2bfloat162(as_bfloat2(z))));
}

// mul.{f16x2, bf16x2}
template <class T>
JMARLIN_DEVICE u32 mul2(u32 x, u32 y);

template <>
JMARLIN_DEVICE u32 mul2<Half>(u32 x, u32 y) { return bits_of(__hmul2(as_half2(x), as_half2(y))); }

template <>
JMARLIN_DEVICE u32 mul2<Bfloat16>(u32 x, u32 y) { return bits_of(__hmul2(as_bfloat2(x), as_bfloat2(y))); }

// ---- Functions of one fp32 number (9.7.3) ----

// ex2.approx: 2^x, within 2 ulp; 0 for -infinity.
JMARLIN_DEVICE float exp2_approx(float x) {
    float v;
    asm("ex2.approx.f32 %0, %1;" : "=f"(v) : "f"(x));
    return v;
}

// sqrt.rn and div.rn: one rounding each, the same on every device.
JMARLIN_DEVICE float square_root(float x) { return __fsqrt_rn(x); }
JMARLIN_DEVICE float divide(float x, float y) { return __fdiv_rn(x, y); }

// ---- Conversion (9.7.9.21, cvt) ----

// cvt.f32.{f16, bf16}: the number of 16 bits, exactly.
template <class T>
JMARLIN_DEVICE float widen(u32 low_16_bits);

template <>
JMARLIN_DEVICE float widen<Half>(u32 bits) { return __half2float(__ushort_as_half(static_cast<unsigned short>(bits))); }

template <>
JMARLIN_DEVICE float widen<Bfloat16>(u32 bits) { return __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(bits))); }

// ex2.approx.ftz: 2 to the x, to 2 units of the last place.
JMARLIN_DEVICE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// rcp.approx.ftz: 1 / x, to a unit of the last place.
JMARLIN_DEVICE float reciprocal(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// cvt.rn.{f16x2, bf16x2}.f32: both halves of a register.
template <class T>
JMARLIN_DEVICE u32 pack2(float low, float high);

template <>
JMARLIN_DEVICE u32 pack2<Half>(float low, float high) { return bits_of(__floats2half2_rn(low, high)); }

template <>
JMARLIN_DEVICE u32 pack2<Bfloat16>(float low, float high) { return bits_of(__floats2bfloat162_rn(low, high)); }

}  // namespace jmarlin
