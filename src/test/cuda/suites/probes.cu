// Pieces of the kernels by themselves, to be held against words worked out by hand and against the plan.
#include "hopper/descriptor.cuh"
#include "stripe.cuh"

using namespace jmarlin;

// out[block][i] = tile, begin, end and slot of its i-th portion, slot -1 for a whole tile; then a portion of tile -1.
struct StripesArgs {
    u64 out;             // s32[grid][portions][4]
    s32 m_tiles, n_tiles, k_blocks, units_per_block, portions;
};

extern "C" __global__ void probe_stripes(const __grid_constant__ StripesArgs probe) {
    GemmArgs args{};
    args.m_tiles = probe.m_tiles;
    args.n_tiles = probe.n_tiles;
    args.k_blocks = probe.k_blocks;
    args.units_per_block = probe.units_per_block;
    args.k_blocks_inverse = ~u64{0} / probe.k_blocks;
    args.units_inverse = ~u64{0} / probe.units_per_block;
    if (thread_index() != 0) return;
    u64 out = probe.out + static_cast<u64>(block_index()) * probe.portions * 16;
    Stripe stripe(args, block_index());
    for (; !stripe.finished(); stripe.next_portion(), out += 16) {
        const u64 slot = Contributors(args, stripe.tile).slot(static_cast<s32>(block_index()));
        st_global_16(out, {static_cast<u32>(stripe.tile), static_cast<u32>(stripe.begin), static_cast<u32>(stripe.end()),
                           stripe.covers_tile() ? ~0u : static_cast<u32>(slot)});
    }
    st_global_16(out, {~0u, 0, 0, 0});
}

// out[thread] = x[thread] / d for the inverse of d.
struct QuotientArgs {
    u64 x;               // s32[32]
    u64 out;             // s32[32][4], the first of each
    u64 inverse;
};

extern "C" __global__ void probe_quotient(const __grid_constant__ QuotientArgs args) {
    const s32 x = static_cast<s32>(ld_global_4(args.x + 4 * thread_index()));
    st_global_16(args.out + 16 * thread_index(), {static_cast<u32>(quotient(x, args.inverse)), 0, 0, 0});
}

// One wgmma.m64n16k16 of a warpgroup, A[row][k] = 16 row + k, B as the host laid it out in rows of 128 bytes.
struct FragmentArgs {
    u64 b;               // 2048 bytes
    u64 out;             // float[128][8] and, behind, the descriptor that was used
    u32 step;            // k16 steps that the descriptor is advanced by
};

extern "C" __global__ void probe_fragments(const __grid_constant__ FragmentArgs args) {
    const u32 tile = (dynamic_shared() + 1023) & ~1023u;
    const u32 warp = warp_index(), r = lane_index() / 4, t = lane_index() % 4;
    for (u32 i = thread_index(); i < 512; i += 128) st_shared_4(tile + 4 * i, ld_global_4(args.b + 4 * i));
    fence_proxy_async();
    block_sync();
    auto pair = [&](u32 row, u32 k) {
        const float first = static_cast<float>(16 * (16 * warp + row) + k);
        return pack2<Half>(first, first + 1);
    };
    const u32 a[4] = {pair(r, 2 * t), pair(r + 8, 2 * t), pair(r, 2 * t + 8), pair(r + 8, 2 * t + 8)};
    float d[8] = {};
    const u64 descriptor = hopper::swizzled_descriptor(tile) + 2 * args.step;
    settle(d);
    wgmma_fence();
    wgmma_m64k16<Half>(d, a, descriptor);
    wgmma_commit();
    wgmma_wait<0>();
    settle(d);
    st_global_f32x4(args.out + thread_index() * 32, {d[0], d[1], d[2], d[3]});
    st_global_f32x4(args.out + thread_index() * 32 + 16, {d[4], d[5], d[6], d[7]});
}

extern "C" __global__ void probe_descriptor(const __grid_constant__ FragmentArgs args) {
    const u64 descriptor = hopper::swizzled_descriptor(args.step);
    if (thread_index() == 0) st_global_16(args.out, {static_cast<u32>(descriptor), static_cast<u32>(descriptor >> 32), 0, 0});
}
