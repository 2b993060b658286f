// Expands packed weights into a dense matrix of 16-bit numbers, one row per column of W: W'[n][k], as the transposed
// operand of a dense product wants it. Bound by memory, so it is written for whole sectors, not for few instructions.
//
// Every warp takes blocks of 64 columns in turn. A fragment register holds two neighbouring k of one column; the eight
// registers of a column are pieces p = 0 .. 7 of 8 k each, a quarter of a piece per lane t of a group of four. Four
// pieces change hands so that every lane has 16 bytes in a row:
//
//            before: lane t has k 2t, 2t + 1 of each piece         after: lane t has piece t (and t + 4)
//   lane 0   p0[0 1]  p1[0 1]  p2[0 1]  p3[0 1]                    p0[0 1] [2 3] [4 5] [6 7]
//   lane 1   p0[2 3]  p1[2 3]  p2[2 3]  p3[2 3]         ->         p1[0 1] [2 3] [4 5] [6 7]
//   lane 2   p0[4 5]  p1[4 5]  p2[4 5]  p3[4 5]                    p2[0 1] [2 3] [4 5] [6 7]
//   lane 3   p0[6 7]  p1[6 7]  p2[6 7]  p3[6 7]                    p3[0 1] [2 3] [4 5] [6 7]
//
// so one store instruction of the warp writes 64 contiguous bytes of eight rows. (Of sparse weights: quads.cuh.)
#pragma once

#include "quads.cuh"

namespace jmarlin {

// The one argument of every entry point, by value; its Java twin is cuda.DequantizeArgs.
struct DequantizeArgs {
    u64 codes;        // as in GemmArgs
    u64 scales;
    u64 zeros;
    u64 factors;
    u64 w;            // T[n][ldw], 16-byte aligned

    s64 ldw;          // a multiple of 8; elements from k up to the next multiple of 8 get some finite value

    s32 n;
    s32 k;
    s32 k_blocks;
    s32 scale_rows;
    s32 group_shift;
};

// What lane (r, t) needs of a scale row: S and offsets of its columns 8r .. 8r + 7, a register per sub-block.
template <class T, class Form>
struct ColumnScales {
    u32 scale[4];
    u32 loaded_offset[4];

    JMARLIN_DEVICE static ColumnScales load(const DequantizeArgs& args, s32 strip, s32 row) {
        const u64 at = (static_cast<u64>(strip) * args.scale_rows + row) * 128 + lane_index() / 4 * 16;
        const Vec16 s = ld_global_16(args.scales + at);
        Vec16 z{};
        if constexpr (Form::kHasOffsets) z = ld_global_16(args.zeros + at);
        return {{s.x, s.y, s.z, s.w}, {z.x, z.y, z.z, z.w}};
    }

    JMARLIN_DEVICE u32 offset(int s) const { return Form::template offset<T>(scale[s], loaded_offset[s]); }
};

// Both halves times the column's factor, rounded once more (exactly, unless the weight is subnormal or overflows).
template <class T>
JMARLIN_DEVICE u32 scale_pair(u32 pair, float factor) {
    return pack2<T>(widen<T>(pair & 0xffff) * factor, widen<T>(pair >> 16) * factor);
}

// Lane t of four gives piece i of `pieces` to lane i and gets piece t from every lane, as drawn above.
JMARLIN_DEVICE Vec16 gather_piece(const u32 (&pieces)[4]) {
    const u32 lane = lane_index();
    const u32 t = lane % 4;
    u32 gathered[4];
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 wanted = t ^ i;  // the partner of this step wants the piece of its own number
        const u32 given = wanted < 2 ? (wanted == 0 ? pieces[0] : pieces[1]) : (wanted == 2 ? pieces[2] : pieces[3]);
        const u32 received = shuffle(given, lane ^ i);
#pragma unroll
        for (u32 from = 0; from < 4; ++from) {
            if (from == wanted) gathered[from] = received;
        }
    }
    return {gathered[0], gathered[1], gathered[2], gathered[3]};
}

// Stores the eight pieces of one column of a block, those that begin before the end of k.
template <class T>
JMARLIN_DEVICE void store_column(const DequantizeArgs& args, s32 column, s32 first_k, const u32 (&pieces)[8]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const u32 four[4] = {pieces[4 * half], pieces[4 * half + 1], pieces[4 * half + 2], pieces[4 * half + 3]};
        const Vec16 piece = gather_piece(four);
        const s32 k = first_k + 32 * half + static_cast<s32>(lane_index() % 4 * 8);
        if (column < args.n && k < args.k) st_global_16(args.w + 2 * (column * args.ldw + k), piece);
    }
}

template <class T, class Form, int kScaleRows>
JMARLIN_DEVICE void dequantize_matrix(const DequantizeArgs& args) {
    const s32 strips = (args.n + 63) / 64;
    const s64 blocks = static_cast<s64>(strips) * args.k_blocks;
    const s64 warps = static_cast<s64>(grid_size()) * 8;
    for (s64 block = static_cast<s64>(block_index()) * 8 + warp_index(); block < blocks; block += warps) {
        const s32 strip = static_cast<s32>(block / args.k_blocks);
        const s32 k_block = static_cast<s32>(block % args.k_blocks);
        const s32 first_column = strip * 64 + static_cast<s32>(lane_index() / 4 * 8);
        const F32x4 low_factors = ld_global_f32x4(args.factors + 4 * static_cast<u64>(first_column));
        const F32x4 high_factors = ld_global_f32x4(args.factors + 4 * static_cast<u64>(first_column) + 16);
        const s32 row = kScaleRows > 1 ? kScaleRows * k_block : k_block >> args.group_shift;
        using Scales = ColumnScales<T, Form>;
        Scales scales[kScaleRows];
#pragma unroll
        for (int i = 0; i < kScaleRows; ++i) scales[i] = Scales::load(args, strip, row + i);
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            u32 words[4 * Form::kWords];
#pragma unroll
            for (int i = 0; i < Form::kWords; ++i) {
                const u64 at = static_cast<u64>(block) * Form::kBlockBytes + (s * Form::kWords + i) * 512 + lane_index() * 16;
                const Vec16 piece = ld_global_16(args.codes + at);
                words[4 * i] = piece.x, words[4 * i + 1] = piece.y, words[4 * i + 2] = piece.z, words[4 * i + 3] = piece.w;
            }
            const s32 column = first_column + 2 * s;
            const F32x4& quad = s < 2 ? low_factors : high_factors;
            const float even_factor = s % 2 == 0 ? quad.x : quad.z;
            const float odd_factor = s % 2 == 0 ? quad.y : quad.w;
            u32 even[8];
            u32 odd[8];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const Scales& of = scales[j * kScaleRows / 4];
                u32 step[Form::kWords];
#pragma unroll
                for (int i = 0; i < Form::kWords; ++i) step[i] = words[j * Form::kWords + i];
                u32 a[4];
                Form::template dequantize<T>(a, step, of.scale[s], of.offset(s));   // as the products' kernels do, bit for bit
                even[2 * j] = scale_pair<T>(a[0], even_factor);
                odd[2 * j] = scale_pair<T>(a[1], odd_factor);
                even[2 * j + 1] = scale_pair<T>(a[2], even_factor);
                odd[2 * j + 1] = scale_pair<T>(a[3], odd_factor);
            }
            const s32 first_k = k_block * Form::kBlockK;
            if constexpr (Form::kSparse) {
                const auto places = Places::load(args.codes + static_cast<u64>(block) * Form::kBlockBytes + 2048, s);
                store_quads(args, column, first_k, even, places, 0);
                store_quads(args, column + 1, first_k, odd, places, 1);
            } else {
                store_column<T>(args, column, first_k, even);
                store_column<T>(args, column + 1, first_k, odd);
            }
        }
    }
}

}  // namespace jmarlin
