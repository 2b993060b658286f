// The machine operations of sm_90a only, one function per instruction: mbarriers, bulk copies, warpgroup matrix
// products, clusters.
//
// Section numbers of the comments are those of "Parallel Thread Execution ISA", version 9.0.
#pragma once

#include "ptx.cuh"

namespace jmarlin {

struct alignas(8) F32x2 { float x, y; };

JMARLIN_DEVICE F32x2 ld_shared_f32x2(u32 address) {
    F32x2 v;
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(address) : "memory");
    return v;
}

JMARLIN_DEVICE void st_shared_f32x2(u32 address, const F32x2& v) {
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" :: "r"(address), "f"(v.x), "f"(v.y) : "memory");
}

// ---- Roles (9.7.19.5, setmaxnreg; 9.7.13.1, barrier) ----

// setmaxnreg: this warpgroup (all 128 threads) gives registers back, or waits until it can have them.
template <int kRegisters>
JMARLIN_DEVICE void registers_decrease() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(kRegisters)); }

template <int kRegisters>
JMARLIN_DEVICE void registers_increase() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(kRegisters)); }

// bar.sync id, threads: a barrier among some warps of the block. Number 0 is block_sync's.
JMARLIN_DEVICE void named_barrier_sync(u32 id, u32 threads) {
    asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(threads) : "memory");
}

// ---- mbarrier (9.7.13.15): an 8-byte object in shared memory; a phase ends when `count` arrivals and all expected
// ---- bytes are in. Phases have parity 0, 1, 0, ...; waiting for a parity returns once the phase of that parity is over.

JMARLIN_DEVICE void mbarrier_init(u32 barrier, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(count) : "memory");
}

// fence.mbarrier_init: makes initialised barriers visible to the copy engine and the cluster; a barrier must follow.
JMARLIN_DEVICE void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

JMARLIN_DEVICE void mbarrier_arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory");
}

// An arrival of this thread if `arrives`.
// NOTES: without a branch. Between two groups of products a branch makes ptxas serialize them (C7513).
JMARLIN_DEVICE void mbarrier_arrive_if(bool arrives, u32 barrier) {
    asm volatile("{\n"
                 ".reg .pred arrives;\n"
                 "setp.ne.u32 arrives, %1, 0;\n"
                 "@arrives mbarrier.arrive.shared::cta.b64 _, [%0];\n"
                 "}" :: "r"(barrier), "r"(u32(arrives)) : "memory");
}

// One arrival that also announces `bytes` of bulk copies for this phase.
JMARLIN_DEVICE void mbarrier_arrive_expect_tx(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory");
}

JMARLIN_DEVICE void mbarrier_wait(u32 barrier, u32 parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra over;\n"
                 "bra again;\n"
                 "over:\n"
                 "}" :: "r"(barrier), "r"(parity) : "memory");
}

// The same at the mbarrier of another block, or the own one, named by its cluster_address. Says that what this thread waited for is
// over: products and bulk copies. What it read or wrote itself the other block knows only after a cluster_sync.
// NOTES: of block scope, like those above. In cluster scope an arrival is a fence of the whole GPU (MEMBAR.ALL.GPU), a wait clears L1.
JMARLIN_DEVICE void mbarrier_arrive_cluster_if(bool arrives, u32 mapped_barrier) {
    asm volatile("{\n"
                 ".reg .pred arrives;\n"
                 "setp.ne.u32 arrives, %1, 0;\n"
                 "@arrives mbarrier.arrive.shared::cluster.b64 _, [%0];\n"
                 "}" :: "r"(mapped_barrier), "r"(u32(arrives)) : "memory");
}

// ---- Bulk copies (9.7.9.25.4, cp.async.bulk) ----

// Contiguous bytes from global to shared memory by the copy engine; the bytes count on `barrier` when they have landed.
// Both addresses and the size are multiples of 16.
JMARLIN_DEVICE void bulk_copy(u32 destination, u64 source, u32 bytes, u32 barrier, u64 policy) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
                 :: "r"(destination), "l"(source), "r"(bytes), "r"(barrier), "l"(policy) : "memory");
}

// Contiguous bytes of this block's shared memory into that of another block of the cluster. Destination and barrier are
// cluster_addresses in that same block: its threads wait, and nobody here learns that the source may be overwritten.
// Addresses and size are multiples of 16.
JMARLIN_DEVICE void bulk_copy_to_cluster(u32 mapped_destination, u32 source, u32 bytes, u32 mapped_barrier) {
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 :: "r"(mapped_destination), "r"(source), "r"(bytes), "r"(mapped_barrier) : "memory");
}

// cp.async.bulk.prefetch.L2: a hint; address and size are multiples of 16.
JMARLIN_DEVICE void bulk_prefetch_l2(u64 source, u32 bytes) {
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(source), "r"(bytes));
}

// fence.proxy.async: this thread's plain shared-memory accesses come before what wgmma and the copy engine do
// after the next barrier.
JMARLIN_DEVICE void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- Clusters (9.7.9.23, mapa; 9.7.13.4, barrier.cluster) ----

JMARLIN_DEVICE u32 cluster_rank() {
    u32 rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

// The address, in the cluster's window, of the same place in the shared memory of block `rank`.
JMARLIN_DEVICE u32 cluster_address(u32 address, u32 rank) {
    u32 mapped;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
    return mapped;
}

JMARLIN_DEVICE F32x2 ld_cluster_f32x2(u32 mapped_address) {
    F32x2 v;
    asm volatile("ld.shared::cluster.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(mapped_address) : "memory");
    return v;
}

// Execution barrier of all threads of the cluster, in two halves: what a thread did to shared memory before it arrived comes before
// what all do after they have waited. Every thread arrives and waits in turn.
// NOTES: an arrival is a fence of the whole GPU: it takes as long as the thread's stores to memory before it do.
JMARLIN_DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }

JMARLIN_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

JMARLIN_DEVICE void cluster_sync() {
    cluster_arrive();
    cluster_wait();
}

// The same for mbarriers that fence_mbarrier_init made ready, and nothing else: no fence of the whole GPU, as cluster_sync is.
JMARLIN_DEVICE void cluster_sync_mbarriers() {
    asm volatile("barrier.cluster.arrive.relaxed;\n"
                 "barrier.cluster.wait.acquire;" ::: "memory");
}

// ---- Warpgroup matrix products (9.7.15) ----

// wgmma.fence: registers written so far may be read or accumulated into by the products that follow.
JMARLIN_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

JMARLIN_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until at most kPending groups, the youngest, are under way. Only then may their A registers and accumulators be touched.
template <int kPending>
JMARLIN_DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(kPending) : "memory"); }

// NOTES: no instruction, but the compiler must have finished these registers here; without it, it moves the arithmetic that
// makes a fragment below wgmma_fence (ptxas C7519), or reads accumulators above the wait.
template <int kCount>
JMARLIN_DEVICE void settle(u32 (&v)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(v[i]) :: "memory");
}

template <int kCount>
JMARLIN_DEVICE void settle(float (&v)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(v[i]) :: "memory");
}

// The same number in another register, which no compiler makes one with the first.
JMARLIN_DEVICE u32 copy_of(u32 v) {
    u32 copy;
    asm volatile("mov.b32 %0, %1;" : "=r"(copy) : "r"(v) : "memory");
    return copy;
}

// wgmma.m64nNk16, D += A * B in fp32, N = 2 * kCount columns. A: registers, warp w of the warpgroup holds rows 16w..16w+15,
// each as mma_m16n8k16 takes them. B: column i is row i of the tile that the descriptor names. Accumulators of lane l, r = l/4, t = l%4:
//   d[4j], d[4j+1]: D[16w+r][8j+2t], D[16w+r][8j+2t+1]   d[4j+2], d[4j+3]: the same of row 16w+r+8
template <class T, int kCount>
JMARLIN_DEVICE void wgmma_m64k16(float (&d)[kCount], const u32 (&a)[4], u64 b);

#define JMARLIN_D4 "%0, %1, %2, %3"
#define JMARLIN_D8 JMARLIN_D4 ", %4, %5, %6, %7"
#define JMARLIN_D16 JMARLIN_D8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define JMARLIN_D32 JMARLIN_D16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define JMARLIN_D64 JMARLIN_D32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
                                ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define JMARLIN_IO4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define JMARLIN_IO8(i) JMARLIN_IO4(i), JMARLIN_IO4(i + 4)
#define JMARLIN_IO16(i) JMARLIN_IO8(i), JMARLIN_IO8(i + 8)
#define JMARLIN_IO32(i) JMARLIN_IO16(i), JMARLIN_IO16(i + 16)
#define JMARLIN_IO64(i) JMARLIN_IO32(i), JMARLIN_IO32(i + 32)

// The zeros and ones at the end: accumulate (scale-d 1), A and B not negated, B not transposed.
#define JMARLIN_WGMMA(TYPE, PTX_TYPE, N, COUNT, A, B)                                                                  \
    template <>                                                                                                        \
    JMARLIN_DEVICE void wgmma_m64k16<TYPE, COUNT>(float (&d)[COUNT], const u32 (&a)[4], u64 b) {                        \
        asm volatile("wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." #PTX_TYPE "." #PTX_TYPE                          \
                     " {" JMARLIN_D##COUNT "}, {" A "}, " B ", 1, 1, 1, 0;"                                            \
                     : JMARLIN_IO##COUNT(0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                     \
    }
#define JMARLIN_WGMMA_BOTH(N, COUNT, A, B)           \
    JMARLIN_WGMMA(Half, f16, N, COUNT, A, B)         \
    JMARLIN_WGMMA(Bfloat16, bf16, N, COUNT, A, B)

JMARLIN_WGMMA_BOTH(8, 4, "%4, %5, %6, %7", "%8")
JMARLIN_WGMMA_BOTH(16, 8, "%8, %9, %10, %11", "%12")
JMARLIN_WGMMA_BOTH(32, 16, "%16, %17, %18, %19", "%20")
JMARLIN_WGMMA_BOTH(64, 32, "%32, %33, %34, %35", "%36")
JMARLIN_WGMMA_BOTH(128, 64, "%64, %65, %66, %67", "%68")

// wgmma.sp.m64nNk32: the same with an A of which two of every four neighbouring k are stored. In stored elements A is that of m64k16;
// `metadata` says which they are: first | second << 2 of four neighbours in four bits, first < second. Of lane 4r + t the low half-word is
// row r's of its warp, the high one row r + 8's; selector 0 takes lanes t = 0 (k 0..15) and 1 (k 16..31), selector 1 t = 2 and 3.
template <class T, int kSelector, int kCount>
JMARLIN_DEVICE void wgmma_sp_m64k32(float (&d)[kCount], const u32 (&a)[4], u64 b, u32 metadata);

#define JMARLIN_WGMMA_SP(TYPE, PTX_TYPE, SELECTOR, N, COUNT, A, B, METADATA)                                              \
    template <>                                                                                                        \
    JMARLIN_DEVICE void wgmma_sp_m64k32<TYPE, SELECTOR, COUNT>(float (&d)[COUNT], const u32 (&a)[4], u64 b, u32 metadata) { \
        asm volatile("wgmma.mma_async.sp.sync.aligned.m64n" #N "k32.f32." #PTX_TYPE "." #PTX_TYPE                       \
                     " {" JMARLIN_D##COUNT "}, {" A "}, " B ", " METADATA ", " #SELECTOR ", 1, 1, 1, 0;"                 \
                     : JMARLIN_IO##COUNT(0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(metadata));       \
    }
#define JMARLIN_WGMMA_SP_ALL(N, COUNT, A, B, METADATA)           \
    JMARLIN_WGMMA_SP(Half, f16, 0, N, COUNT, A, B, METADATA)      \
    JMARLIN_WGMMA_SP(Half, f16, 1, N, COUNT, A, B, METADATA)      \
    JMARLIN_WGMMA_SP(Bfloat16, bf16, 0, N, COUNT, A, B, METADATA) \
    JMARLIN_WGMMA_SP(Bfloat16, bf16, 1, N, COUNT, A, B, METADATA)

JMARLIN_WGMMA_SP_ALL(8, 4, "%4, %5, %6, %7", "%8", "%9")
JMARLIN_WGMMA_SP_ALL(16, 8, "%8, %9, %10, %11", "%12", "%13")
JMARLIN_WGMMA_SP_ALL(32, 16, "%16, %17, %18, %19", "%20", "%21")
JMARLIN_WGMMA_SP_ALL(64, 32, "%32, %33, %34, %35", "%36", "%37")
JMARLIN_WGMMA_SP_ALL(128, 64, "%64, %65, %66, %67", "%68", "%69")

#undef JMARLIN_WGMMA_SP_ALL
#undef JMARLIN_WGMMA_SP
#undef JMARLIN_WGMMA_BOTH
#undef JMARLIN_WGMMA
#undef JMARLIN_IO64
#undef JMARLIN_IO32
#undef JMARLIN_IO16
#undef JMARLIN_IO8
#undef JMARLIN_IO4
#undef JMARLIN_D64
#undef JMARLIN_D32
#undef JMARLIN_D16
#undef JMARLIN_D8
#undef JMARLIN_D4

}  // namespace jmarlin
