// From 4-bit codes to the tensor core's A operand, 9 instructions per 8 weights: a shift, four ANDs, four FMAs; 13 with
// zero points.
//
// One packed word of lane l (r = l / 4, t = l % 4) holds the two columns h = 0, 1 of one sub-block at eight k:
//
//   bits   31..28  27..24  23..20  19..16  15..12  11..8    7..4    3..0
//   h         1       0       1       0       1       0       1       0
//   k      2t + 9  2t + 9  2t + 1  2t + 1  2t + 8  2t + 8    2t      2t        (+ 16 j)
//          `--- a3, a2 --' `--- a1, a0 --' `--- a3, a2 --' `--- a1, a0 --'
//          `------ second half of ai ----' `------ first half of ai -----'
//
// so four masks give the four registers of the fragment, in the instruction's own order. What a mask leaves in a
// 16-bit half is read as a floating-point number: with a zero exponent field the bits are an integer times the
// smallest subnormal,
//
//                      bits 3..0 (h = 0)     bits 7..4 (h = 1)
//   fp16               q * 2^-24             q * 2^-20
//   bf16               q * 2^-133            q * 2^-129
//
// exactly. (In bf16 bit 7 is the lowest exponent bit. Exponent field 1 continues the subnormals' spacing, so bits
// 7..0 still count in units of 2^-133.) A zero code, 0x8000 | z << 4h, is minus z in the unit of its column, and
//
//   weight' = fma(q', S, Z)      Z = zero code * S
//
// rounds once, or twice where z * S needs more bits than the type has: never for z = 8. The second rounding is one of
// z * S, several times the weight, and common to a group; so weights with zero points of their own are subtracted
// first, which is exact, and rounded once too:
//
//   weight' = (q' + zero code) * S
//
// S is the scale times a power of two per column, chosen by the packer so that weights do not come out subnormal; the
// epilogue's factor undoes that power and the 2^24 ... 2^129 of the unit.
#pragma once

#include "ptx.cuh"

namespace jmarlin {

// The zero codes of z = 8 for columns h = 0 (low half) and h = 1.
constexpr u32 kSymmetricZeroCodes = 0x80808008;

// `scale` and `zero` hold S and Z of column h = 0 in the low half, of h = 1 in the high half.
template <class T>
JMARLIN_DEVICE void dequantize(u32 (&a)[4], u32 word, u32 scale, u32 zero) {
    const u32 upper = word >> 8;
    a[0] = fma2_low<T>(word & 0x000f000f, scale, zero);
    a[1] = fma2_high<T>(word & 0x00f000f0, scale, zero);
    a[2] = fma2_low<T>(upper & 0x000f000f, scale, zero);
    a[3] = fma2_high<T>(upper & 0x00f000f0, scale, zero);
}

template <class T>
constexpr u32 kOne = 0x3c003c00;
template <>
constexpr u32 kOne<Bfloat16> = 0x3f803f80;

// The same for any zero point. `scale` and `zero_code` hold S and the zero codes of the two columns.
template <class T>
JMARLIN_DEVICE void dequantize_with_zeros(u32 (&a)[4], u32 word, u32 scale, u32 zero_code) {
    const u32 upper = word >> 8;
    a[0] = fma2_low<T>(fma2_low<T>(word & 0x000f000f, kOne<T>, zero_code), scale, 0);
    a[1] = fma2_high<T>(fma2_high<T>(word & 0x00f000f0, kOne<T>, zero_code), scale, 0);
    a[2] = fma2_low<T>(fma2_low<T>(upper & 0x000f000f, kOne<T>, zero_code), scale, 0);
    a[3] = fma2_high<T>(fma2_high<T>(upper & 0x00f000f0, kOne<T>, zero_code), scale, 0);
}

}  // namespace jmarlin
