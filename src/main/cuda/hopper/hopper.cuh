// W4A16 product for Hopper: C[m][n] = A[m][k] * W[k][n] + bias on wgmma, from the same packed bytes as the
// striped kernel, as C^T = W^T * A^T: the weights are wgmma's A operand, in registers.
//
// A tile is kN columns by kM tokens. The blocks of a cluster share it along k and add up through each other's shared memory.
//
//   producer warpgroup                     ring of slots in shared memory          two consumer warpgroups
//   codes, scales: bulk copies    --->     full / empty mbarriers            --->  64 or 128 columns each:
//   activations: cp.async, swizzled                                                unpack into registers | wgmma
//   (m <= kM / 8: bulk copies)                                                     partial tile -> shared memory
//                                          cluster barrier
//                                          every block sums its share of the tile in rank order -> C
//
// Nobody waits for a block outside the cluster, whose blocks the hardware starts together. The order of every sum is fixed, so
// the result is the same bit for bit in every run.
#pragma once

#include "producer.cuh"
#include "cluster_reduce.cuh"

namespace jmarlin {
namespace hopper {

template <class Shape>
JMARLIN_DEVICE void consume(const GemmArgs& args, const Ring<Shape>& ring) {
    bool spread = spread_rows<Shape>(args);
    Consumer<Shape> consumer(args, ring);
    for (Work<Shape> work(args); work.more(); work.next()) {
        s32 n_tile = work.tile / args.m_tiles;
        s32 m_tile = work.tile % args.m_tiles;
        s32 left = args.m - m_tile * Shape::kM;
        s32 tokens = left < Shape::kM ? left : Shape::kM;

        consumer.accumulate(work.first_stage, work.end_stage);
        named_barrier_sync(1, kConsumerThreads);    // the other warpgroup may still be reading the ring
        stage_sums<Shape>(consumer, ring.staging(), tokens, spread);
        tile_sync<Shape>();
        reduce_and_store<Shape>(args, ring.staging(), n_tile, m_tile, tokens);
        fence_proxy_async();                        // the copy engine writes the ring next
        tile_sync<Shape>();
    }
}

template <class Shape>
JMARLIN_DEVICE void multiply(const GemmArgs& args) {
    const Ring<Shape> ring(u32(args.stages));
    if (thread_index() == kConsumerThreads) {
        u32 copies = spread_rows<Shape>(args) ? 1 : 1 + kProducerThreads / 32;      // the bulk copies, and each warp's cp.async
        for (u32 slot = 0; slot < ring.slots; ++slot) {
            mbarrier_init(ring.full(slot), copies);
            mbarrier_init(ring.empty(slot), kConsumerThreads / 32);
        }
        fence_mbarrier_init();
        fence_proxy_async();
    }
    block_sync();
    if (thread_index() >= kConsumerThreads) {
        registers_decrease<kProducerRegisters>();
        produce(args, ring);
    } else {
        registers_increase<kConsumerRegisters>();
        consume(args, ring);
    }
}

}  // namespace hopper
}  // namespace jmarlin
