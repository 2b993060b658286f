// From e2m1 codes (FP4: a sign, two bits of exponent, one of mantissa) to the tensor core's A operand, 16 instructions per 8 weights.
//
// The three bits of a magnitude are those of a small number of the target type wherever its exponent and mantissa meet, and the subnormal
// one is a subnormal there too:
//
//                15   14 ..                                  .. 0
//   fp16         s    0  0  0  e  e  m  0  0  0  0  0  0  0  0  0      e2m1 * 2^-14
//   bf16         s    0  0  0  0  0  0  e  e  m  0  0  0  0  0  0      e2m1 * 2^-126
//
// exactly, so the weight is one product with S away. A 16-bit half holds four codes, i = 2p + h (k + 8p, column h), with the signs together
// and at such places that no code of either type needs more than two shifts:
//
//   bit     15   14   13   12   11 10 9   8 7 6   5 4 3   2 1 0
//           s3   s2   s0   s1    e e m    e e m   e e m   e e m
//                                code 3   code 2  code 1  code 0
//
// Shifts are of whole words: what crosses from one half into the other lies outside the masks. Java's twin: layout.FloatCodes.
#pragma once

#include "dequant.cuh"

namespace jmarlin {

constexpr u32 kSigns = 0x80008000;

template <class T>
constexpr u32 kMagnitudes = 0x0e000e00;
template <>
constexpr u32 kMagnitudes<Bfloat16> = 0x01c001c0;

// The magnitude of code i, to where the type reads it.
template <class T>
JMARLIN_DEVICE u32 to_magnitude(u32 word, int i);
template <>
JMARLIN_DEVICE u32 to_magnitude<Half>(u32 word, int i) { return word << (9 - 3 * i); }
template <>
JMARLIN_DEVICE u32 to_magnitude<Bfloat16>(u32 word, int i) { return i < 3 ? word << (6 - 3 * i) : word >> 3; }

// The sign of code i to the top of its half.
JMARLIN_DEVICE u32 to_sign(u32 word, int i) { return word << (i == 0 ? 2 : i == 1 ? 3 : i == 2 ? 1 : 0); }

template <class T>
JMARLIN_DEVICE void dequantize_e2m1(u32 (&a)[4], u32 word, u32 scale) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const u32 number = (to_magnitude<T>(word, i) & kMagnitudes<T>) | (to_sign(word, i) & kSigns);
        a[i] = i % 2 == 0 ? fma2_low<T>(number, scale, 0) : fma2_high<T>(number, scale, 0);
    }
}

}  // namespace jmarlin
