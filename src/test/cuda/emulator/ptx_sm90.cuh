// The emulator's twin of src/main/cuda/ptx_sm90.cuh: the same functions, run on a CPU with every access checked.
#ifndef JMARLIN_PTX_SM90_CUH
#define JMARLIN_PTX_SM90_CUH

#include "ptx.cuh"
#include "sm90.hpp"

#define __cluster_dims__(...)

namespace jmarlin {

struct alignas(8) F32x2 { float x, y; };

JMARLIN_DEVICE F32x2 ld_shared_f32x2(u32 address, JMARLIN_SITE) {
    return emulator::load_shared<F32x2>(address, "ld_shared_f32x2", site);
}
JMARLIN_DEVICE void st_shared_f32x2(u32 address, const F32x2& v, JMARLIN_SITE) {
    emulator::store_shared(address, v, "st_shared_f32x2", site);
}

// ---- Roles ----

template <int kRegisters>
JMARLIN_DEVICE void registers_decrease() {}
template <int kRegisters>
JMARLIN_DEVICE void registers_increase() {}
JMARLIN_DEVICE void named_barrier_sync(u32 id, u32 threads, JMARLIN_SITE) { emulator::collective_named_barrier(id, threads, site); }

// ---- mbarrier ----

JMARLIN_DEVICE void mbarrier_init(u32 barrier, u32 count, JMARLIN_SITE) { emulator::mbarrier_init(barrier, count, site); }
JMARLIN_DEVICE void fence_mbarrier_init() { emulator::show_mbarriers(true); }
JMARLIN_DEVICE void mbarrier_arrive(u32 barrier, JMARLIN_SITE) { emulator::mbarrier_arrive(barrier, 0, site); }
JMARLIN_DEVICE void mbarrier_arrive_expect_tx(u32 barrier, u32 bytes, JMARLIN_SITE) { emulator::mbarrier_arrive(barrier, bytes, site); }
JMARLIN_DEVICE void mbarrier_wait(u32 barrier, u32 parity, JMARLIN_SITE) { emulator::mbarrier_wait(barrier, parity, site); }
JMARLIN_DEVICE void mbarrier_arrive_cluster(u32 mapped_barrier, JMARLIN_SITE) { emulator::mbarrier_arrive_cluster(mapped_barrier, site); }

// ---- Bulk copies ----

JMARLIN_DEVICE void bulk_copy(u32 destination, u64 source, u32 bytes, u32 barrier, u64 policy, JMARLIN_SITE) {
    emulator::bulk_copy(destination, source, bytes, barrier, policy, site);
}
JMARLIN_DEVICE void bulk_copy_to_cluster(u32 mapped_destination, u32 source, u32 bytes, u32 mapped_barrier, JMARLIN_SITE) {
    emulator::bulk_copy_to_cluster(mapped_destination, source, bytes, mapped_barrier, site);
}
JMARLIN_DEVICE void bulk_prefetch_l2(u64 source, u32 bytes, JMARLIN_SITE) { emulator::bulk_prefetch(source, bytes, site); }
JMARLIN_DEVICE void fence_proxy_async() { emulator::proxy_fence(); }

// ---- Clusters ----

JMARLIN_DEVICE u32 cluster_rank() { return emulator::cluster_rank(); }
JMARLIN_DEVICE u32 cluster_address(u32 address, u32 rank, JMARLIN_SITE) { return emulator::cluster_address(address, rank, site); }
JMARLIN_DEVICE F32x2 ld_cluster_f32x2(u32 mapped_address, JMARLIN_SITE) {
    F32x2 v;
    std::memcpy(&v, emulator::cluster_read(mapped_address, sizeof v, "ld_cluster_f32x2", site), sizeof v);
    return v;
}
// NOTES: all meet at the wait, so that an arrival orders more here than on the hardware.
JMARLIN_DEVICE void cluster_arrive() {}
JMARLIN_DEVICE void cluster_wait(JMARLIN_SITE) { emulator::collective_cluster_sync(site); }
JMARLIN_DEVICE void cluster_sync(JMARLIN_SITE) { emulator::collective_cluster_sync(site); }
JMARLIN_DEVICE void cluster_sync_mbarriers(JMARLIN_SITE) { emulator::collective_cluster_sync(site); }

// ---- Warpgroup matrix products ----

JMARLIN_DEVICE void wgmma_fence(JMARLIN_SITE) { emulator::collective_wgmma_fence(site); }
JMARLIN_DEVICE void wgmma_commit(JMARLIN_SITE) { emulator::collective_wgmma_commit(site); }
template <int kPending>
JMARLIN_DEVICE void wgmma_wait(JMARLIN_SITE) { emulator::collective_wgmma_wait(kPending, site); }
template <int kCount>
JMARLIN_DEVICE void settle(u32 (&)[kCount]) {}
template <int kCount>
JMARLIN_DEVICE void settle(float (&)[kCount]) {}
template <class T, int kCount>
JMARLIN_DEVICE void wgmma_m64k16(float (&d)[kCount], const u32 (&a)[4], u64 b, JMARLIN_SITE) {
    emulator::collective_wgmma(d, kCount, a, b, emulator::kIsHalf<T>, site);
}

}  // namespace jmarlin

// The kernels' own functions need not be inlined here: that halves the time to compile them.
#undef JMARLIN_DEVICE
#define JMARLIN_DEVICE inline

#endif  // JMARLIN_PTX_SM90_CUH
