// One instance of the Hopper kernel as compile-time values: the tile, the shared memory it needs, the threads it runs.
#pragma once

#include "forms.cuh"
#include "ptx_sm90.cuh"

namespace jmarlin {
namespace hopper {

constexpr int kConsumerThreads = 256;                     // two warpgroups that multiply
constexpr int kProducerThreads = 128;                     // one that copies
constexpr int kProducerWarps = kProducerThreads / 32;
constexpr int kThreads = kConsumerThreads + kProducerThreads;
constexpr int kConsumerRegisters = 216;                   // together the 384 * 168 that the kernel starts with
constexpr int kProducerRegisters = 72;
constexpr int kSharedLimit = 227 * 1024;                  // per block on sm_90
constexpr int kLeastStages = 5;                           // two that a consumer holds and the longest activation lag
constexpr int kStagesAhead = 2;                           // requested as soon as the mbarriers are there
constexpr int kMostStages = 12;

static_assert(kConsumerThreads * kConsumerRegisters + kProducerThreads * kProducerRegisters == kThreads * 168, "register file");

// T: Half or Bfloat16. WeightForm: what a weight is (forms.cuh). kRows: scale rows of a k-block. kTokens: rows of the batch tile, the N
// of wgmma. kColumns: columns of a block, two or four strips of 64. A cluster is kAlongN * kAlongK blocks, neighbours in n that share
// activations and blocks that share a tile along k; rank = rank along k * kAlongN + rank along n. kAlongK = 1: the striped schedule.
template <class T, class WeightForm, int kRows, int kTokens, int kColumns, int kAlongN, int kAlongK>
struct Shape {
    using Element = T;
    using Form = WeightForm;
    static constexpr int kBlockRows = kRows;
    static constexpr int kM = kTokens;
    static constexpr int kN = kColumns;
    static constexpr int kNeighbours = kAlongN;
    static constexpr int kSplit = kAlongK;
    static constexpr int kCluster = kNeighbours * kSplit;
    static constexpr bool kStriped = kSplit == 1;

    static constexpr int kStrips = kN / 64;
    static constexpr int kStripsPerWarpgroup = kStrips / 2;
    static constexpr int kStageColumns = Form::kBlockBytes == 2048 ? (kM <= 32 ? 512 : 256) : kM <= 64 ? 256 : 128;
    static constexpr int kDepth = kStageColumns / kN;                             // k-blocks of a stage
    static constexpr bool kShortTurns = kDepth * kStripsPerWarpgroup == 1;        // of a consumer's main loop: one strip's k-block
    static constexpr int kSlices = Form::kBlockK / 64;                            // of 64 k, of a k-block's activations
    static constexpr int kStageSlices = kDepth * kSlices;
    static constexpr bool kCanSpread = kNeighbours == 1 && kM <= 32;              // see spread_rows
    static constexpr int kScaleRows = kDepth * kBlockRows;                        // at most, of one strip in a stage

    // A slot of the ring: activations [kStageSlices][kM][128 bytes], codes [kStrips][kDepth][Form::kBlockBytes], scales
    // [kStrips][kScaleRows][128 bytes], offsets alike.
    static constexpr int kActivationBytes = kM * 128;                             // of one slice
    static constexpr int kCodes = kStageSlices * kActivationBytes;
    static constexpr int kScales = kCodes + kStrips * kDepth * Form::kBlockBytes;
    static constexpr int kOffsetsAt = kScales + kStrips * kScaleRows * 128;
    static constexpr int kUsed = kOffsetsAt + (Form::kHasOffsets ? kStrips * kScaleRows * 128 : 0);
    static constexpr int kSlotBytes = (kUsed + 1023) / 1024 * 1024;               // the swizzle counts from multiples of 1024

    // Each neighbour copies its part of the rows of A, each of its four producer warps a part of that: 8 lanes a row, the four rows
    // that a warp copies at a time from one slice or, where it has only two, from two.
    static constexpr int kOwnRows = kM / kNeighbours;
    static constexpr int kWarpRows = kOwnRows / kProducerWarps;
    static constexpr int kPassRows = kWarpRows < 4 ? kWarpRows : 4;
    static constexpr int kPassSlices = 4 / kPassRows;
    static constexpr int kPasses = kWarpRows / kPassRows;

    // Sums on their way to C: float[kStagingRows][kN + 4]. A cluster that splits k stages its finished tile over the ring, which is
    // drained; the striped schedule passes its sums through a few rows at a time, beside the ring, which goes on.
    static constexpr int kStagingRows = !kStriped || kM <= 32 ? kM : 16;
    static constexpr int kStagingStride = (kN + 4) * 4;
    static constexpr int kStagingBytes = kStagingRows * kStagingStride;
    static constexpr int kRingAt = kStriped ? (kStagingBytes + 1023) / 1024 * 1024 : 0;

    // Before all: the mbarriers, a flag, and what aligning the rest to 1024 may skip.
    static constexpr int kFlagAt = kMostStages * 16;
    static constexpr int kHeaderBytes = 1024 + 256;

    static constexpr int kFitting = (kSharedLimit - kHeaderBytes - kRingAt) / kSlotBytes;
    static constexpr int kStages = kFitting < kMostStages ? kFitting : kMostStages;

    // Stages whose activations are under way when one is handed over: as many as cover the latency of L2, and few enough that
    // in a short ring a neighbour has them in time.
    // NOTES: a consumer holds two slots, so one more than kLeastStages - 2 deadlocks.
    static constexpr int kActivationLag = kStages < 6 ? 1 : kStages < 9 ? 2 : 3;

    // What a launch with so many slots asks for.
    static constexpr u32 shared_bytes(u32 slots) {
        u32 ring = kRingAt + slots * kSlotBytes;
        return kHeaderBytes + (ring > kStagingBytes ? ring : kStagingBytes);
    }

    static_assert(kN == 128 || kN == 256, "two warpgroups of one or two strips");
    static_assert(kM == 8 || kM == 16 || kM == 32 || kM == 64 || kM == 128, "batch tiles");
    static_assert(kNeighbours == 1 || kNeighbours == 2, "pairs of neighbours");
    static_assert(kSplit == 1 || kSplit == 2 || kSplit == 4, "blocks along k");
    static_assert(kCluster <= 4, "clusters");
    static_assert(kPassRows * kPasses * 4 == kOwnRows && (kPassRows == 2 || kPassRows == 4), "passes cover the rows");
    static_assert(kStageSlices % kPassSlices == 0 && 4 % kDepth == 0 && (!kCanSpread || 4 % kStageSlices == 0), "slices for the warps");
    static_assert(kDepth > 0, "a k-block of so many bytes takes narrower tiles");
    static_assert(kBlockRows == 1 || kBlockRows == 2 || kBlockRows == 4, "scale rows of a k-block");
    static_assert(kActivationLag <= kLeastStages - 2, "the shortest ring");
    static_assert(kStages >= kLeastStages && kLeastStages >= kStagesAhead, "too few stages fit");
    static_assert(shared_bytes(kStages) <= kSharedLimit, "shared memory");
    static_assert(kStagingBytes <= kRingAt + kStages * kSlotBytes, "a finished tile lies over the ring");
    static_assert(kFlagAt + 4 <= 256, "mbarriers and flag");
};

}  // namespace hopper
}  // namespace jmarlin
