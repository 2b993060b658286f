// One instance of the striped kernel: its types, its tile, and everything that follows from them.
#pragma once

#include "../forms.cuh"
#include "../reduce.cuh"

namespace jmarlin {

// kBatch rows by kColumns columns per tile; weights as Form says (forms.cuh), kScaleRows scale rows per block: 2 and 4 where groups are
// a half and a quarter of a block, else 1.
//
// A stage is eight blocks of weights, one per warp. Warps split the columns first, then k:
//
//   kColumns = 256, kDepth = 2:     strip 0   strip 1   strip 2   strip 3
//                        k-block 0  warp 0    warp 1    warp 2    warp 3     (the leaders: they collect the sums)
//                        k-block 1  warp 4    warp 5    warp 6    warp 7
//
// In halves, kSharers = 2, a stage has four blocks. Two warps share each: the sub-blocks 0 and 1 are one's, 2 and 3 the other's, so that
// still no two warps dequantize the same weights. Where 99 KB hold two whole stages, they hold four or five of these.
//
//   kColumns = 256, kDepth = 1:     strip 0      strip 1      strip 2      strip 3
//                        k-block 0  warps 0, 4   warps 1, 5   warps 2, 6   warps 3, 7     (all are leaders)
template <class T, class WeightForm, int kRowsOfScales, int kBatch, int kColumns, int kSharers = 1>
struct StripedShape {
    using Type = T;
    using Form = WeightForm;
    static constexpr int kScaleRows = kRowsOfScales;     // per block
    static_assert(kScaleRows == 1 || kScaleRows == 2 || kScaleRows == 4, "a row for all steps, for two, for each");

    static constexpr int kThreads = 256;
    static constexpr int kWarps = kThreads / 32;
    static constexpr int kStrips = kColumns / 64;        // warps along n
    static constexpr int kHalves = kSharers;             // of a block, one per warp
    static constexpr int kSubBlocks = 4 / kHalves;       // of a warp
    static constexpr int kLeaders = kStrips * kHalves;   // warps of a k-block, those of the first collect the sums
    static constexpr int kDepth = kWarps / kLeaders;     // the k-blocks of a stage
    static constexpr int kBatchRows = kBatch;
    static constexpr int kBatchTiles = kBatch / 8;       // of the mma's n8 side
    static_assert(kStrips * 64 == kColumns && kLeaders * kDepth == kWarps, "the n tile is 64, 128 or 256 columns");
    static_assert(kHalves == 1 || (kHalves == 2 && !Form::kSparse && kBatchTiles % 2 == 0), "halves of codes alone, and of the rows");
    static_assert(kBatch == 8 || kBatch % 16 == 0, "ldmatrix.x4 reads two batch tiles, or two k16 steps of a single one");

    // What this warp works on: its strip of the tile, its k-block of the stage, its half of that block.
    JMARLIN_DEVICE static u32 strip() { return warp_index() % kStrips; }
    JMARLIN_DEVICE static u32 depth() { return warp_index() / kLeaders; }
    JMARLIN_DEVICE static u32 half() { return kHalves == 1 ? 0 : warp_index() / kStrips % kHalves; }
    JMARLIN_DEVICE static u32 block() { return kHalves == 1 ? warp_index() : depth() * kStrips + strip(); }

    // One slot of the ring: codes, scales (with offsets) and activations, each warp's, block's or slice's share side by side. A slice is
    // 64 k of the activations.
    static constexpr u32 kCodeBytes = Form::kBlockBytes / kHalves;                           // per warp
    static constexpr int kCodePieces = kCodeBytes / 512;                                     // of 16 bytes per lane
    static constexpr u32 kScaleRowBytes = 128;
    static constexpr u32 kOffsetsAt = kScaleRowBytes * kScaleRows;                           // behind the scales
    static constexpr u32 kScaleBytes = kOffsetsAt * (Form::kHasOffsets ? 2 : 1);             // per block
    static_assert(kScaleBytes <= 512, "one copy of each lane");
    static constexpr int kBlockSlices = Form::kBlockK / 64;
    static constexpr int kSlices = kDepth * kBlockSlices;
    static constexpr u32 kActivationRowBytes = 128;
    static constexpr u32 kActivationBytes = kBatch * kActivationRowBytes;                    // per slice
    static constexpr u32 kScalesAt = kWarps * kCodeBytes;
    static constexpr u32 kActivationsAt = kScalesAt + kStrips * kDepth * kScaleBytes;
    static constexpr u32 kSlotBytes = kActivationsAt + kSlices * kActivationBytes;

    // Shared memory: the buffer of sum_across_warps or gather_rows, then the ring. Java's twin: plan.TileShape.
    static constexpr u32 kReductionBytes = kHalves == 1 ? (kWarps - kStrips) * 2048 : kLeaders * kGatheredBytes<kWarps / kStrips, 1>;
    static_assert(kReductionBytes >= kLeaders * 2048, "a leader's part of it is where its rows are finished, see finish_rows");
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

    // Batch tiles of a leader whose sums fit beside each other into the smallest ring and the buffer before it.
    static constexpr int kLeaderTiles = kBatchTiles / kHalves;
    template <int kTiles>
    static constexpr u32 kSumsBytes = kHalves == 1 ? kTiles * kReductionBytes : kLeaders * kGatheredBytes<kWarps / kStrips, kTiles>;
    static constexpr int kTilesAtOnce = kSumsBytes<kLeaderTiles> <= shared_bytes(2) ? kLeaderTiles : kLeaderTiles / 2;
    static_assert(kSumsBytes<kTilesAtOnce> <= shared_bytes(2), "sums of a whole round");

    // Copying activations: 8 threads take the 8 chunks of a row's 64 k; the block's 32 such lines form a grid of
    // kLineRows rows by kLineSlices slices that passes over the tile.
    static constexpr int kLineRows = kBatch % 32 == 0 ? 32 : kBatch % 16 == 0 ? 16 : 8;
    static constexpr int kLineSlices = 32 / kLineRows;
    static constexpr int kRowPasses = kBatch / kLineRows;
    static constexpr int kSlicePasses = kSlices / kLineSlices;
    static_assert(kRowPasses * kLineRows == kBatch && kSlicePasses * kLineSlices == kSlices, "passes cover the tile");
};

}  // namespace jmarlin
