// What a weight is, as the kernels see it: one type per form, with the facts that sizes and loops follow from, and the verbs that make
// numbers of its codes. Kernels are instantiated with a form and ask no further. Java's twin: layout.WeightForm.
//
//   form               weight                 bytes of a block   instructions per 8 codes
//   Symmetric4         S (q - 8)              2048                9
//   ZeroPoints4        S (q - z)              2048               13
#pragma once

#include "dequant.cuh"

namespace jmarlin {

// The facts that most forms share.
//
// A block is 64 columns by kBlockK rows, and every lane of a warp holds 1/32 of it: kBlockPieces pieces of 16 bytes. It is multiplied in
// four steps of kBlockK / 4 rows, for each of its four sub-blocks of 16 columns; one such share of a lane is kStepWords words of codes,
// which become the four registers of the tensor core's A operand.
struct FourBitForm {
    static constexpr int kBlockK = 64;
    static constexpr int kBlockPieces = 4;
    static constexpr int kStepWords = 1;
    static constexpr bool kIsSparse = false;    // metadata follow the codes, and the product is mma.sp's
};

// Every form besides:
//
//   kHasOffsets             whether a second operand like the scales is loaded, 16 bits per column and scale row
//   offset<T>(scale)        the offset of two columns, where it is not loaded but follows from their scales
//   dequantize<T>(a, words, scale, offset)      A's four registers; scale and offset are of columns h = 0 (low half) and h = 1

struct Symmetric4 : FourBitForm {
    static constexpr bool kHasOffsets = false;

    template <class T>
    JMARLIN_DEVICE static u32 offset(u32 scale) { return mul2<T>(scale, kSymmetricZeroCodes); }

    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32 offset) {
        jmarlin::dequantize<T>(a, words[0], scale, offset);
    }
};

struct ZeroPoints4 : FourBitForm {
    static constexpr bool kHasOffsets = true;

    template <class T>
    JMARLIN_DEVICE static void dequantize(u32 (&a)[4], const u32 (&words)[1], u32 scale, u32 offset) {
        dequantize_with_zeros<T>(a, words[0], scale, offset);
    }
};

}  // namespace jmarlin
