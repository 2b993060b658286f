// W4A16 product for Hopper: C[m][n] = A[m][k] * W[k][n] + bias on wgmma, from the same packed bytes as the
// striped kernel, as C^T = W^T * A^T: the weights are wgmma's A operand, in registers.
//
//   producer warpgroup                     ring of slots in shared memory          two consumer warpgroups
//   codes, scales: bulk copies    --->     full / empty mbarriers            --->  64 or 128 columns each:
//   activations: cp.async, swizzled                                                unpack into registers | wgmma
//   (m <= kM / 8: bulk copies)                                                     sums -> shared memory -> C
//
// Two schedules (work.cuh). Striped: all tiles laid end to end along k and cut into equal stripes; a tile that several blocks
// share is added up through memory by the last one to arrive (stripe_reduce.cuh). Split: the blocks of a cluster share a tile along k
// and add up through each other's shared memory (cluster_reduce.cuh). In both, two neighbours in n may share the activations that they
// read (producer.cuh).
//
// Nobody waits for a block outside its cluster, whose blocks the hardware starts together. The order of every sum is fixed, so
// the result is the same bit for bit in every run.
#pragma once

#include "producer.cuh"
#include "stripe_reduce.cuh"

namespace jmarlin {
namespace hopper {

template <class Shape>
JMARLIN_DEVICE void consume(const GemmArgs& args, const Ring<Shape>& ring) {
    bool spread = spread_rows<Shape>(args);
    Consumer<Shape> consumer(args, ring);
    for (Work<Shape> work(args); work.more(); work.next()) {
        const Place<Shape> place(args, work.tile);
        consumer.accumulate(work.begin, work.end);
        if constexpr (Shape::kStriped) {
            finish_portion<Shape>(args, ring, consumer, work, place, spread);
        } else {
            finish_tile<Shape>(args, ring, consumer, place, spread);
        }
    }
}

template <class Shape>
JMARLIN_DEVICE void multiply(const GemmArgs& args) {
    const Ring<Shape> ring(u32(args.stages));
    if (thread_index() == kConsumerThreads) {
        u32 copies = kProducerWarps * (spread_rows<Shape>(args) ? 1 : 2);           // each warp's bulk copies, and its cp.async
        for (u32 slot = 0; slot < ring.slots; ++slot) {
            mbarrier_init(ring.full(slot), copies);
            mbarrier_init(ring.empty(slot), Shape::kNeighbours * (kConsumerThreads / 32));
        }
        fence_mbarrier_init();
        fence_proxy_async();
    }
    if (thread_index() >= kConsumerThreads) {
        named_barrier_sync(2, kProducerThreads);
        if (lane_index() == 0) request_ahead<Shape>(args, ring, (thread_index() - kConsumerThreads) / 32);
    }
    if (Shape::kNeighbours == 1) {
        block_sync();
    } else {
        cluster_sync_mbarriers();   // the neighbour's are there
    }
    if (thread_index() >= kConsumerThreads) {
        registers_decrease<kProducerRegisters>();
        produce(args, ring);
    } else {
        registers_increase<kConsumerRegisters>();
        consume(args, ring);
    }
    if (Shape::kNeighbours > 1 && Shape::kStriped) cluster_sync();      // the neighbour may still send, or release a slot
}

}  // namespace hopper
}  // namespace jmarlin
