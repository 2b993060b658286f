// From 8-bit codes to the tensor core's A operand, 8 instructions per 8 weights: two ANDs, two byte permutations, four FMAs; 12 with zero
// points.
//
// Two packed words of lane l (r = l / 4, t = l % 4), p = 0, 1, hold the two columns h = 0, 1 of one sub-block at eight k:
//
//   bits   31..24      23..16      15..8       7..0
//   h         1           0          1           0
//   k      2t + 8p + 1 2t + 8p + 1 2t + 8p     2t + 8p       (+ 16 j)
//          `---- second half ----' `---- first half ----'
//
// so the even bytes of word p are register a[2p] of the fragment and its odd ones a[2p + 1], in bits 7..0 of a 16-bit half, where
// dequant.cuh reads numbers from: q * 2^-24 in fp16, q * 2^-133 in bf16, exactly (bit 7 is the lowest bit of a bf16's exponent, and field 1 continues
// the subnormals' spacing). Zero codes are 0x8000 | z, z = 0 .. 256; a difference of the two is exact, for 256 is the largest.
#pragma once

#include "dequant.cuh"

namespace jmarlin {

// The zero codes of z = 128.
constexpr u32 kSymmetricZeroCodes8 = 0x80808080;

// The bytes of column h = 0 in the low bits of the halves, and those of h = 1.
JMARLIN_DEVICE u32 even_bytes(u32 word) { return word & 0x00ff00ff; }
JMARLIN_DEVICE u32 odd_bytes(u32 word) { return permute_bytes(word, 0, 0x4341); }

template <class T>
JMARLIN_DEVICE void dequantize8(u32 (&a)[4], const u32 (&words)[2], u32 scale, u32 zero) {
#pragma unroll
    for (int p = 0; p < 2; ++p) {
        a[2 * p] = fma2_low<T>(even_bytes(words[p]), scale, zero);
        a[2 * p + 1] = fma2_high<T>(odd_bytes(words[p]), scale, zero);
    }
}

template <class T>
JMARLIN_DEVICE void dequantize8_with_zeros(u32 (&a)[4], const u32 (&words)[2], u32 scale, u32 zero_code) {
#pragma unroll
    for (int p = 0; p < 2; ++p) {
        a[2 * p] = fma2_low<T>(fma2_low<T>(even_bytes(words[p]), kOne<T>, zero_code), scale, 0);
        a[2 * p + 1] = fma2_high<T>(fma2_high<T>(odd_bytes(words[p]), kOne<T>, zero_code), scale, 0);
    }
}

}  // namespace jmarlin
