// The arithmetic half of the striped kernel: one warp multiplies one block of weights, or half of one, with the batch tile.
#pragma once

#include "../reduce.cuh"
#include "copy.cuh"

namespace jmarlin {

// A lane's share of one block, in pieces of 16 bytes: the codes of sub-block s are kWords pieces, of step j as many words of them.
template <class Shape>
struct BlockCodes {
    using Form = typename Shape::Form;
    static constexpr int kPieces = Shape::kSubBlocks * Form::kWords;
    Vec16 piece[kPieces];

    JMARLIN_DEVICE void load(u32 address) {
#pragma unroll
        for (int i = 0; i < kPieces; ++i) piece[i] = ld_shared_16(address + i * 512);
    }

    // Word i of step j.
    JMARLIN_DEVICE u32 word(int s, int j, int i) const {
        const int in_sub_block = j * Form::kWords + i;
        const Vec16& v = piece[s * Form::kWords + in_sub_block / 4];
        const int w = in_sub_block % 4;
        return w == 0 ? v.x : w == 1 ? v.y : w == 2 ? v.z : v.w;
    }
};

// Which two of four rows the stored weights of a block are, as mma.sp wants it: of each sub-block a word for the first two steps and one
// for the others, side by side. The second ones are still needed when the next stage's are loaded.
struct BlockPlaces {
    Vec8 sub_block[4];
    u32 late[4];

    JMARLIN_DEVICE void load(u32 lane_address) {
#pragma unroll
        for (int s = 0; s < 4; ++s) sub_block[s] = ld_shared_8(lane_address + s * 256);
    }

    JMARLIN_DEVICE void keep_late() {
#pragma unroll
        for (int s = 0; s < 4; ++s) late[s] = sub_block[s].y;
    }

    // Where there is no register for them as long as the first words are needed: read once more.
    JMARLIN_DEVICE void load_late(u32 lane_address, int s) { late[s] = ld_shared_8(lane_address + s * 256).y; }

    JMARLIN_DEVICE u32 word(int step, int s) const { return step < 2 ? sub_block[s].x : late[s]; }
};

// S of a lane's eight columns, the two of sub-block s in one register, and beside it their offsets, Z or zero codes. In halves, of the
// warp's four columns.
template <class Shape>
struct BlockScales {
    using Form = typename Shape::Form;
    Vec16 scale;
    Vec16 offset;

    JMARLIN_DEVICE void load(u32 address) {
        scale = load_columns(address);
        if (Form::kHasOffsets) offset = load_columns(address + Shape::kOffsetsAt);
    }

    // Apart from the load, so that nothing waits for it before the numbers are needed.
    JMARLIN_DEVICE void derive_offsets() {
        using T = typename Shape::Type;
        offset = {Form::template offset<T>(scale.x, offset.x), Form::template offset<T>(scale.y, offset.y),
                  Form::template offset<T>(scale.z, offset.z), Form::template offset<T>(scale.w, offset.w)};
    }

    JMARLIN_DEVICE static Vec16 load_columns(u32 address) {
        if constexpr (Shape::kHalves == 1) return ld_shared_16(address);
        const Vec8 two = ld_shared_8(address);
        return {two.x, two.y, 0, 0};
    }

    JMARLIN_DEVICE static u32 of(const Vec16& v, int s) { return s == 0 ? v.x : s == 1 ? v.y : s == 2 ? v.z : v.w; }
};

// The B operand of one or two steps. An ldmatrix.x4 brings four 8 x 8 matrices: the two halves of a k16 step for two batch tiles
// or, with a single batch tile, of two steps; or the four quarters of a k32 step of one batch tile.
template <class Shape>
struct BlockActivations {
    static constexpr int kStepMatrices = Shape::Form::kBlockK / 32;     // of a batch tile
    static constexpr bool kTwoSteps = Shape::kBatchTiles == 1 && kStepMatrices == 2;
    static constexpr int kSteps = kTwoSteps ? 2 : 1;
    static constexpr int kLoads = kTwoSteps ? 1 : Shape::kBatchTiles * kStepMatrices / 4;
    static constexpr int kLoadRows = kStepMatrices == 2 ? 16 : 8;       // with more than one load
    static constexpr bool kLoadedAhead = kLoads <= 4;                   // the next step's have room beside the current ones
    u32 v[kLoads][4];

    // Place of this lane's matrix row within the block's activations, at step 0.
    JMARLIN_DEVICE static u32 lane_offset() {
        const u32 matrix = lane_index() / 8;
        const u32 row = lane_index() % 8 + (kTwoSteps || kStepMatrices == 4 ? 0 : matrix / 2 * 8);
        return row * Shape::kActivationRowBytes + swizzled_chunk(row, kTwoSteps || kStepMatrices == 4 ? matrix : matrix % 2);
    }

    // A step is two chunks on, or four, which in the swizzled row is an exclusive or; a slice has four steps, or two.
    JMARLIN_DEVICE void load(u32 lane_address, int step) {
#pragma unroll
        for (int i = 0; i < kLoads; ++i) load(lane_address, step, i);
    }

    JMARLIN_DEVICE void load(u32 lane_address, int step, int i) {
        constexpr int kSliceSteps = 8 / kStepMatrices;
        const u32 slice_address = lane_address + step / kSliceSteps * Shape::kActivationBytes;
        ldmatrix_x4(v[i], (slice_address ^ (step % kSliceSteps * kStepMatrices * 16)) + i * kLoadRows * Shape::kActivationRowBytes);
    }

    // Matrix i of a step and batch tile.
    JMARLIN_DEVICE u32 matrix(int step, int tile, int i) const {
        if constexpr (kStepMatrices == 4) return v[tile][i];
        else return kTwoSteps ? v[0][step % 2 * 2 + i] : v[tile / 2][tile % 2 * 2 + i];
    }
};

// Everything one warp reads of a stage, and its products with it. Loads and products come in parts, so that the caller can
// put other work between them: the codes, which the lane copied itself; what other lanes copied, as far as the first step
// needs it; the products of all steps but the last, with the other steps' loads; the last step's products, which need
// nothing of the stage any more.
//
// NOTES: the largest tile of sparse weights has registers for one step's activations, and none for a stage's before the sums of the
// stage before are done. It loads everything when its products begin, and a batch tile's next activations behind its last product.
template <class Shape>
class BlockMultiplier {
    static constexpr int kSubBlocks = Shape::kSubBlocks;
    using Sums = Accumulators<Shape::kBatchTiles, kSubBlocks>;

  public:
    JMARLIN_DEVICE BlockMultiplier()
        : codes_at_(warp_index() * Shape::kCodeBytes + lane_index() * 16),
          scales_at_(Shape::kScalesAt + Shape::block() * Shape::kScaleBytes + lane_index() / 4 * 16 + Shape::half() * 8),
          activations_at_(Shape::kActivationsAt + Shape::depth() * (Shape::kBlockSlices * Shape::kActivationBytes) +
                          Activations::lane_offset()) {
        if (!Activations::kLoadedAhead) return;
        keep(scales_at_);
        // NOTES: with groups of 16 the largest tile has no register for it: on sm_120 it would spill
        if (Shape::kScaleRows < 4 || Shape::kBatchRows < 64) keep(activations_at_);
    }

    JMARLIN_DEVICE void load_codes(u32 slot) {
        if (Activations::kLoadedAhead) codes_.load(slot + codes_at_);
    }

    JMARLIN_DEVICE void load_first_step(u32 slot) {
        if (Activations::kLoadedAhead) load_operands(slot);
    }

    // 4 steps, 4 sub-blocks of 16 columns each, or 2: here three steps' products, and the weights of the fourth. The
    // next step's activations and the next sub-block's weights are fetched before the tensor core is given the current
    // ones. also(i), i = 0 .. 11 or 5, is other work to mix in.
    template <class Also>
    JMARLIN_DEVICE void multiply_until_last_step(Sums& acc, u32 slot, Also also) {
        u32 weights[2][4];
        if (!Activations::kLoadedAhead) {
            codes_.load(slot + codes_at_);
            load_operands(slot);
        } else if (Form::kSparse) {
            places_.keep_late();
        }
        scales_.derive_offsets();
        dequantize_at(weights[0], 0, 0);
#pragma unroll
        for (int step = 0; step < 3; ++step) {
            if (Activations::kLoadedAhead && step % Activations::kSteps == 0 && step + Activations::kSteps < 4) {
                activations_[1 - buffer(step)].load(slot + activations_at_, step + Activations::kSteps);
            }
#pragma unroll
            for (int s = 0; s < kSubBlocks; ++s) {
                const int next = step * kSubBlocks + s + 1;
                constexpr int kRowSubBlocks = 4 * kSubBlocks / Shape::kScaleRows;   // that share a scale row
                if (next % kRowSubBlocks == 0) {
                    scales_.load(slot + scales_at_ + next / kRowSubBlocks * Shape::kScaleRowBytes);
                    scales_.derive_offsets();
                }
                dequantize_at(next < 3 * kSubBlocks ? weights[next % 2] : last_weights_[0], next % kSubBlocks, next / kSubBlocks);
                also(next - 1);
                multiply_at(acc, weights[(next - 1) % 2], s, step, [&](int tile) {
                    if (!Activations::kLoadedAhead && s == kSubBlocks - 1) activations_[0].load(slot + activations_at_, step + 1, tile);
                });
                if (Form::kSparse && !Activations::kLoadedAhead && step == 1) places_.load_late(slot + places_at(), s);
            }
        }
#pragma unroll
        for (int s = 1; s < kSubBlocks; ++s) dequantize_at(last_weights_[s], s, 3);
    }

    JMARLIN_DEVICE void multiply_last_step(Sums& acc) {
#pragma unroll
        for (int s = 0; s < kSubBlocks; ++s) multiply_at(acc, last_weights_[s], s, 3, [](int) {});
    }

  private:
    using T = typename Shape::Type;
    using Form = typename Shape::Form;
    using Activations = BlockActivations<Shape>;
    using Scales = BlockScales<Shape>;

    // Which buffer holds the activations of a step.
    static constexpr int kBuffers = Activations::kLoadedAhead ? 2 : 1;
    JMARLIN_DEVICE static constexpr int buffer(int step) { return step / Activations::kSteps % kBuffers; }

    JMARLIN_DEVICE u32 places_at() const { return codes_at_ - lane_index() * 8 + BlockCodes<Shape>::kPieces * 512; }

    JMARLIN_DEVICE void load_operands(u32 slot) {
        scales_.load(slot + scales_at_);
        activations_[0].load(slot + activations_at_, 0);
        if (Form::kSparse) places_.load(slot + places_at());
    }

    template <class Then>
    JMARLIN_DEVICE void multiply_at(Sums& acc, const u32 (&weights)[4], int s, int step, Then then) {
#pragma unroll
        for (int tile = 0; tile < Shape::kBatchTiles; ++tile) {
            const Activations& activations = activations_[buffer(step)];
            float (&sums)[4] = acc.v[tile][s];
            if constexpr (!Form::kSparse) {
                mma_m16n8k16<T>(sums, weights, activations.matrix(step, tile, 0), activations.matrix(step, tile, 1));
            } else {
                // Of a word's two steps the first has its places in lanes t = 0, 1, the second in t = 2, 3.
                if (step % 2 == 0) mma_sp_m16n8k32<T, 0>(sums, weights, activations.v[tile], places_.word(step, s));
                else mma_sp_m16n8k32<T, 1>(sums, weights, activations.v[tile], places_.word(step, s));
            }
            then(tile);
        }
    }

    JMARLIN_DEVICE void dequantize_at(u32 (&weights)[4], int s, int step) {
        u32 words[Form::kWords];
#pragma unroll
        for (int i = 0; i < Form::kWords; ++i) words[i] = codes_.word(s, step, i);
        Form::template dequantize<T>(weights, words, Scales::of(scales_.scale, s), Scales::of(scales_.offset, s));
    }

    // Places within a slot.
    u32 codes_at_;
    u32 scales_at_;
    u32 activations_at_;

    BlockCodes<Shape> codes_;
    BlockPlaces places_;
    Scales scales_;
    Activations activations_[kBuffers];
    u32 last_weights_[kSubBlocks][4];  // of the last step, by sub-block
};

}  // namespace jmarlin
