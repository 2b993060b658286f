// The copying half of the striped kernel: walks the block's stripe ahead of the arithmetic, stage by stage.
//
// Every warp copies the codes that it will multiply; a lane even reads back exactly the 16-byte pieces of codes that it
// copied itself. A block's scales are copied by its warp, by the first of two. Activations are shared by the thread block.
#pragma once

#include "../stripe.cuh"
#include "shape.cuh"

namespace jmarlin {

// Where 16-byte chunk c of an activation row lies in the row's 128 bytes: at c ^ (row % 8), so that both the 8 chunks
// of one row (copies) and one chunk of 8 rows (ldmatrix) fall on all 32 banks once.
JMARLIN_DEVICE u32 swizzled_chunk(u32 row, u32 chunk) { return (chunk ^ (row % 8)) * 16; }

template <class Shape>
class StageCopier {
    using Form = typename Shape::Form;

  public:
    JMARLIN_DEVICE StageCopier(const GemmArgs& args, const Stripe& stripe)
        : args_(args), stripe_(stripe),
          weight_policy_(args.m_tiles == 1 ? policy_evict_first() : policy_evict_normal()) {
        const u32 line = thread_index() / 8;
        const u32 chunk = thread_index() % 8;
        row_ = line % Shape::kLineRows;
        line_k_ = line / Shape::kLineRows * 64 + chunk * 8;
        activation_at_ = Shape::kActivationsAt + line / Shape::kLineRows * Shape::kActivationBytes +
                         row_ * Shape::kActivationRowBytes + swizzled_chunk(row_, chunk);
        keep(activation_at_);
        if (!stripe_.finished()) open_portion();
    }

    // The copies of a stage in pieces: codes, scales, activations. An inner stage is whole, since another of the same
    // tile follows; its pieces are free of branches, so that they mix with the arithmetic of another stage.
    static constexpr int kPlaces = 3 * Shape::kSubBlocks;     // a sub-block each of the first three steps
    static constexpr int kPieces = Shape::kCodePieces + 1 + Shape::kRowPasses * Shape::kSlicePasses;

    JMARLIN_DEVICE bool at_inner_stage() const { return k_block_ < inner_end_; }

    // What falls to one of kPlaces places among the arithmetic.
    JMARLIN_DEVICE void copy_inner_pieces_if(bool wanted, int place, u32 slot) {
#pragma unroll
        for (int piece = place; piece < kPieces; piece += kPlaces) copy_inner_piece_if(wanted, piece, slot);
    }

    JMARLIN_DEVICE void leave_inner_stage_if(bool wanted) { step_over(wanted ? Shape::kDepth : 0); }

    // Starts the copies of the stripe's next stage, whatever it is like, if there is one.
    JMARLIN_DEVICE void copy_next_stage(u32 slot) {
        if (stripe_.finished()) return;
        if (k_block_ < strip_end_) {
#pragma unroll
            for (int piece = 0; piece < Shape::kCodePieces; ++piece) copy_codes_if(true, piece, slot);
            copy_scales_if(true, slot);
        }
        copy_activations(slot);
        step_over(Shape::kDepth);
        if (k_block_ >= stripe_.end()) {
            stripe_.next_portion();
            if (!stripe_.finished()) open_portion();
        }
    }

  private:
    JMARLIN_DEVICE void open_portion() {
        const s32 n_tile = quotient(stripe_.tile, args_.m_tiles_inverse);
        const s32 m_tile = stripe_.tile - n_tile * args_.m_tiles;
        const s32 strip = n_tile * Shape::kStrips + static_cast<s32>(Shape::strip());
        const s32 depth = static_cast<s32>(Shape::depth());
        const bool strip_exists = strip * 64 < args_.n;
        k_block_ = stripe_.begin;
        k_end_ = smaller(stripe_.end() * Form::kBlockK, args_.k);
        strip_end_ = strip_exists ? stripe_.end() - depth : 0;
        inner_end_ = strip_exists && args_.stages > 2 ? stripe_.end() - Shape::kDepth : 0;

        codes_ = args_.codes + (static_cast<u64>(strip) * args_.k_blocks + k_block_ + depth) * Form::kBlockBytes +
                 Shape::half() * Shape::kCodeBytes + lane_index() * 16;
        const u32 lanes_per_operand = Shape::kOffsetsAt / 16;
        const u64 operand = lane_index() < lanes_per_operand ? args_.scales : args_.zeros;
        scales_ = operand + static_cast<u64>(strip) * args_.scale_rows * Shape::kScaleRowBytes +
                  lane_index() % lanes_per_operand * 16;

        const s32 first_row = m_tile * Shape::kBatchRows + static_cast<s32>(row_);
        rows_left_ = args_.m - first_row;
        activations_ = args_.a + 2 * (first_row * args_.lda + k_block_ * Form::kBlockK + static_cast<s32>(line_k_));
    }

    JMARLIN_DEVICE void step_over(s32 k_blocks) {
        k_block_ += k_blocks;
        codes_ += k_blocks * static_cast<s32>(Form::kBlockBytes);
        activations_ += k_blocks * (2 * Form::kBlockK);
    }

    JMARLIN_DEVICE void copy_inner_piece_if(bool wanted, int piece, u32 slot) {
        if (piece < Shape::kCodePieces) {
            copy_codes_if(wanted, piece, slot);
        } else if (piece == Shape::kCodePieces) {
            copy_scales_if(wanted, slot);
        } else if (piece < kPieces) {
            const int pass = piece - Shape::kCodePieces - 1;
            const int rows = pass / Shape::kSlicePasses * Shape::kLineRows;
            const int slice = pass % Shape::kSlicePasses * Shape::kLineSlices;
            cp_async_16_if(wanted && rows < rows_left_, activation_place(slot, rows, slice), activation_source(rows, slice));
        }
    }

    JMARLIN_DEVICE void copy_codes_if(bool wanted, int piece, u32 slot) {
        const u32 destination = slot + warp_index() * Shape::kCodeBytes + lane_index() * 16;
        cp_async_16_if(wanted, destination + piece * 512, codes_ + piece * 512, weight_policy_);
    }

    JMARLIN_DEVICE void copy_scales_if(bool wanted, u32 slot) {
        const u32 destination = slot + Shape::kScalesAt + Shape::block() * Shape::kScaleBytes + lane_index() * 16;
        const u32 k_block = k_block_ + Shape::depth();
        const u32 row = Shape::kScaleRows > 1 ? Shape::kScaleRows * k_block : k_block >> args_.group_shift;
        cp_async_16_if(wanted && lane_index() < Shape::kScaleBytes / 16 && Shape::half() == 0, destination,
                       scales_ + static_cast<u64>(row) * Shape::kScaleRowBytes, weight_policy_);
    }

    // Rows that do not exist are not copied: what lies in their place reaches only results that are not stored. Beyond
    // the end of k there must be zeros, for no weight of the padding makes NaN times it vanish.
    JMARLIN_DEVICE void copy_activations(u32 slot) {
        const s32 k_left = k_end_ - k_block_ * Form::kBlockK - static_cast<s32>(line_k_);
#pragma unroll
        for (int rows = 0; rows < Shape::kBatchRows; rows += Shape::kLineRows) {
            if (rows >= rows_left_) break;
#pragma unroll
            for (int slice = 0; slice < Shape::kSlices; slice += Shape::kLineSlices) {
                const s32 left = k_left - slice * 64;
                cp_async_16_zfill(activation_place(slot, rows, slice), activation_source(rows, slice),
                                  left > 0 ? smaller(2 * left, 16) : 0);
            }
        }
    }

    JMARLIN_DEVICE u32 activation_place(u32 slot, int rows, int slice) const {
        return slot + activation_at_ + rows * Shape::kActivationRowBytes + slice * Shape::kActivationBytes;
    }

    JMARLIN_DEVICE u64 activation_source(int rows, int slice) const {
        return activations_ + rows * 2 * args_.lda + slice * 128;
    }

    const GemmArgs& args_;
    Stripe stripe_;
    u64 weight_policy_;

    // The next stage starts at k-block k_block_ of the portion's tile; this warp's strip has blocks up to strip_end_,
    // counted where the stage starts, inner stages up to inner_end_ (none in a ring of two slots, whose next stage must be
    // copied at once), and activations are read up to k_end_.
    s32 k_block_ = 0;
    s32 strip_end_ = 0;
    s32 inner_end_ = 0;
    s32 k_end_ = 0;
    u64 codes_ = 0;   // this lane's first piece of codes in the next stage
    u64 scales_ = 0;  // this lane's piece of the strip's first scale row, or of its offsets

    // This thread's chunk of activations: row and k within the stage, place in the slot, address, rows left below.
    u32 row_;
    u32 line_k_;
    u32 activation_at_;
    u64 activations_ = 0;
    s32 rows_left_ = 0;
};

}  // namespace jmarlin
