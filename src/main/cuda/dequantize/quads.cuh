// Stores 2:4 sparse weights densely: of every four k the two stored ones at their places, zeros at the others.
//
// The pair of stored weights in register p of step j of lane (r, t) is quad 8j + 4p + t of a block's column, so four lanes have four quads
// in a row, 16 k, and store them as they are: 32 contiguous bytes of each of eight rows of W'. Their places are in the metadata of one
// lane, (r, (2j + p) % 4): 16 bits, a nibble first | second << 2 for each quad, here nibble t.
#pragma once

#include "../forms.cuh"

namespace jmarlin {

// The metadata of one sub-block for the columns of lane (r, any): word 2 t' + half as lane (r, t') has it, column h in its half h.
struct Places {
    u32 words[8];

    JMARLIN_DEVICE static Places load(u64 metadata, int s) {
        const u64 at = metadata + s * 256 + lane_index() / 4 * 32;
        const Vec16 low = ld_global_16(at), high = ld_global_16(at + 16);
        return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
    }

    // Of the lane's quad in step j, register p, column h.
    JMARLIN_DEVICE u32 of(int j, int p, int h) const {
        return words[(2 * j + p) % 4 * 2 + j / 2] >> (16 * h + lane_index() % 4 * 4) & 0xf;
    }
};

// Two 16-bit numbers to their places among four.
JMARLIN_DEVICE Vec8 spread(u32 pair, u32 places) {
    const u64 first = static_cast<u64>(pair & 0xffff) << 16 * (places & 3);
    const u64 second = static_cast<u64>(pair >> 16) << 16 * (places >> 2);
    const u64 four = first | second;
    return {static_cast<u32>(four), static_cast<u32>(four >> 32)};
}

// Stores the eight quads of a lane in one column of a block, those that begin before the end of k rounded up to 8.
template <class Args>
JMARLIN_DEVICE void store_quads(const Args& args, s32 column, s32 first_k, const u32 (&pairs)[8], const Places& places, int h) {
    if (column >= args.n) return;
    const s32 end = (args.k + 7) / 8 * 8;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const s32 k = first_k + 16 * i + static_cast<s32>(lane_index() % 4 * 4);
        if (k < end) st_global_8(args.w + 2 * (column * args.ldw + k), spread(pairs[i], places.of(i / 2, i % 2, h)));
    }
}

}  // namespace jmarlin
