// One instance of the striped kernel: its types, its tile, and everything that follows from them.
#pragma once

#include "../forms.cuh"

namespace jmarlin {

// kBatch rows by kColumns columns per tile; weights as Form says (forms.cuh), kScaleRows scale rows per block: 2 and 4 where groups are
// a half and a quarter of a block, else 1.
//
// A stage is eight blocks of weights, one per warp. Warps split the columns first, then k:
//
//   kColumns = 256, kDepth = 2:     strip 0   strip 1   strip 2   strip 3
//                        k-block 0  warp 0    warp 1    warp 2    warp 3     (the leaders: they collect the sums)
//                        k-block 1  warp 4    warp 5    warp 6    warp 7
template <class T, class WeightForm, int kRowsOfScales, int kBatch, int kColumns>
struct StripedShape {
    using Type = T;
    using Form = WeightForm;
    static constexpr int kScaleRows = kRowsOfScales;     // per block
    static_assert(kScaleRows == 1 || kScaleRows == 2 || kScaleRows == 4, "a row for all steps, for two, for each");

    static constexpr int kThreads = 256;
    static constexpr int kWarps = kThreads / 32;
    static constexpr int kStrips = kColumns / 64;        // warps along n
    static constexpr int kDepth = kWarps / kStrips;      // warps along k: the k-blocks of a stage
    static constexpr int kBatchRows = kBatch;
    static constexpr int kBatchTiles = kBatch / 8;       // of the mma's n8 side
    static_assert(kStrips * 64 == kColumns && kStrips * kDepth == kWarps, "the n tile is 64, 128 or 256 columns");
    static_assert(kBatch == 8 || kBatch % 16 == 0, "ldmatrix.x4 reads two batch tiles, or two k16 steps of a single one");

    // One slot of the ring: codes, scales (with offsets) and activations, each warp's or slice's share side by side. A slice is 64 k
    // of the activations.
    static constexpr u32 kCodeBytes = Form::kBlockBytes;                                     // per warp
    static constexpr int kCodePieces = kCodeBytes / 512;                                     // of 16 bytes per lane
    static constexpr u32 kScaleRowBytes = 128;
    static constexpr u32 kOffsetsAt = kScaleRowBytes * kScaleRows;                           // behind the scales
    static constexpr u32 kScaleBytes = kOffsetsAt * (Form::kHasOffsets ? 2 : 1);             // per warp
    static_assert(kScaleBytes <= 512, "one copy of each lane");
    static constexpr int kBlockSlices = Form::kBlockK / 64;
    static constexpr int kSlices = kDepth * kBlockSlices;
    static constexpr u32 kActivationRowBytes = 128;
    static constexpr u32 kActivationBytes = kBatch * kActivationRowBytes;                    // per slice
    static constexpr u32 kScalesAt = kWarps * kCodeBytes;
    static constexpr u32 kActivationsAt = kScalesAt + kWarps * kScaleBytes;
    static constexpr u32 kSlotBytes = kActivationsAt + kSlices * kActivationBytes;

    // Shared memory: the buffer of sum_across_warps, then the ring. Java's twin: plan.TileShape.
    static constexpr u32 kReductionBytes = (kWarps - kStrips) * 2048;
    static_assert(kReductionBytes >= kStrips * 2048, "a leader's part of it is where its rows are finished, see finish_rows");
    static constexpr u32 shared_bytes(u32 stages) { return kReductionBytes + stages * kSlotBytes; }

    // The usual rings: what fits, 8 slots at most.
    static constexpr s32 stages_fitting(u32 kilobytes) {
        const s32 stages = (kilobytes * 1024 - kReductionBytes) / kSlotBytes;
        return stages < 2 ? 2 : stages < 8 ? stages : 8;
    }
    static constexpr s32 kStagesIn227 = stages_fitting(227);  // sm_90
    static constexpr s32 kStagesIn163 = stages_fitting(163);  // sm_80, sm_87
    static constexpr s32 kStagesIn99 = stages_fitting(99);    // sm_86, sm_89
    static_assert(shared_bytes(2) <= (Form::kSparse && kBatch == 64 ? 163 : 99) * 1024,
                  "every instance fits the smallest device, sm_86: 99 KB a block; but the largest of sparse weights");

    // Batch tiles whose sums fit beside each other into the smallest ring and the buffer before it.
    static constexpr int kTilesAtOnce = kBatchTiles * kReductionBytes <= shared_bytes(2) ? kBatchTiles : kBatchTiles / 2;
    static_assert(kTilesAtOnce * kReductionBytes <= shared_bytes(2), "sums of a whole round");

    // Copying activations: 8 threads take the 8 chunks of a row's 64 k; the block's 32 such lines form a grid of
    // kLineRows rows by kLineSlices slices that passes over the tile.
    static constexpr int kLineRows = kBatch % 32 == 0 ? 32 : kBatch % 16 == 0 ? 16 : 8;
    static constexpr int kLineSlices = 32 / kLineRows;
    static constexpr int kRowPasses = kBatch / kLineRows;
    static constexpr int kSlicePasses = kSlices / kLineSlices;
    static_assert(kRowPasses * kLineRows == kBatch && kSlicePasses * kLineSlices == kSlices, "passes cover the tile");
};

}  // namespace jmarlin
