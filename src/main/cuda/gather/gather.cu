// Entry point of the gather kernel, gather_16bit; any grid of blocks of 256 threads.
// ptx: 7.4
#include <cstddef>

#include "gather.cuh"

using namespace jmarlin;

extern "C" __global__ void __launch_bounds__(256) gather_16bit(const __grid_constant__ GatherArgs args) {
    gather_columns(args, 256);
}

// What the host checks before it trusts an image: version, size of the arguments, offset of every field in order.
extern "C" __device__ const u32 jmarlin_gather_abi[] = {
    1,
    sizeof(GatherArgs),
    offsetof(GatherArgs, a),
    offsetof(GatherArgs, order),
    offsetof(GatherArgs, gathered),
    offsetof(GatherArgs, lda),
    offsetof(GatherArgs, ldg),
    offsetof(GatherArgs, m),
    offsetof(GatherArgs, k),
};
