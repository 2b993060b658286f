// What a weight is, as the kernels see it: one type per form, with the facts that sizes and loops follow from, and the verbs that make
// numbers of its codes. Kernels are instantiated with a form and ask no further. Java's twin: layout.WeightForm.
//
//   form           names   weight       code q, kept in          instructions per 8 codes (a copy of the sub-block's share excluded)
//   Symmetric4     sym     S (q - 8)    4 bits                    9
//   SparseSymmetric4  sp24 S (q - 8)    4 bits, two rows of four  9
//   ZeroPoints4    zp      S (q - z)    4 bits                   13
//   FloatZero4     fz      S q + Z      4 bits                    9
//   Symmetric8     i8      S (q - 128)  8 bits                    8
//   ZeroPoints8    i8zp    S (q - z)    8 bits                   12
//   FloatZero8     i8fz    S q + Z      8 bits                    8
//   E2m1           fp4     S q          sign, 2 bits of exponent, 1 of mantissa     16
//
// The facts: a block is 64 columns by kBlockK rows, kBlockBytes long. It is multiplied in four steps of kBlockK / 4 rows, for each of its
// four sub-blocks of 16 columns; kWords words of a lane's codes become the four registers of the tensor core's A operand. kHasOffsets: a
// second operand like the scales is loaded, 16 bits per column and scale row. kSparse: metadata follow the codes.
//
// The verbs, of two columns h = 0 (low half) and h = 1 (high half) each:
//   offset<T>(scale, loaded)                  what dequantize takes besides the scale: loaded, or derived from it
//   dequantize<T>(a, words, scale, offset)    A's four registers
#pragma once

#include "dequant.cuh"
#include "dequant8.cuh"
#include "dequant_e2m1.cuh"

namespace jmarlin {

struct Codes4 {
    static constexpr int kBlockK = 64;
    static constexpr int kBlockBytes = 2048;
    static constexpr int kWords = 1;
    static constexpr bool kSparse = false;
};

struct Codes8 {
    static constexpr int kBlockK = 64;
    static constexpr int kBlockBytes = 4096;
    static constexpr int kWords = 2;
    static constexpr bool kSparse = false;
};

struct LoadedOffsets {
    static constexpr bool kHasOffsets = true;

    template <class T>
    JMARLIN_DEVICE static u32 offset(u32, u32 loaded) { return loaded; }
};

struct Symmetric4 : Codes4 {
    static constexpr bool kHasOffsets = false;

    template <class T>
    JMARLIN_DEVICE static u32 offset(u32 scale, u32) { return mul2<T>(scale, kSymmetricZeroCodes); }

    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32 offset) {
        jmarlin::dequantize<T>(a, words[0], scale, offset);
    }
};

struct SparseSymmetric4 : Symmetric4 {
    static constexpr int kBlockK = 128;
    static constexpr int kBlockBytes = 2048 + 1024;
    static constexpr bool kSparse = true;
};

struct ZeroPoints4 : Codes4, LoadedOffsets {
    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32 offset) {
        dequantize_with_zeros<T>(a, words[0], scale, offset);
    }
};

struct FloatZero4 : Codes4, LoadedOffsets {
    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32 offset) {
        jmarlin::dequantize<T>(a, words[0], scale, offset);
    }
};

struct Symmetric8 : Codes8 {
    static constexpr bool kHasOffsets = false;

    template <class T>
    JMARLIN_DEVICE static u32 offset(u32 scale, u32) { return mul2<T>(scale, kSymmetricZeroCodes8); }

    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[2], u32 scale, u32 offset) {
        dequantize8<T>(a, words, scale, offset);
    }
};

struct ZeroPoints8 : Codes8, LoadedOffsets {
    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[2], u32 scale, u32 offset) {
        dequantize8_with_zeros<T>(a, words, scale, offset);
    }
};

struct FloatZero8 : Codes8, LoadedOffsets {
    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[2], u32 scale, u32 offset) {
        dequantize8<T>(a, words, scale, offset);
    }
};

struct E2m1 : Codes4 {
    static constexpr bool kHasOffsets = false;

    template <class T>
    JMARLIN_DEVICE static u32 offset(u32, u32) { return 0; }

    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32) {
        dequantize_e2m1<T>(a, words[0], scale);
    }
};

}  // namespace jmarlin
