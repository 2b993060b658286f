/*
 * The product C[m][n] = A[m][k] * W[k][n] with packed weights of 4 or 8 bits, on the processor.
 *
 * Activations become integers, a segment of k at a time: a segment is a group, or 128 rows of it where groups are longer. Its unit is
 * its largest magnitude / 32639 (8355583 for fp32), each value a number of units, written as two (three) signed bytes, its digits.
 * Sums of codes times digits over a segment are exact in 32 bits, whatever the codes are. They are then scaled and added to the
 * column's total by one multiply-add, segment after segment. So every instruction set gives the same bits, for any number of threads,
 * and a row's bits do not depend on the rows beside it.
 *
 *   read     a unit of up to 4 rows of A -> digits, units, sums   read.h, the same code compiled for each instruction set
 *   multiply a strip of 64 columns x all rows -> C                strip.h, with two kernels from product_<instruction set>.c:
 *              few rows:   a vector runs along k, as the packed bytes do; sums of 16 columns are added up across vectors
 *              many rows:  a vector runs across columns; the lines of 16 columns are turned once for all rows, and 8 digits of a row
 *                          are repeated in a vector, so that only neighbours are added up
 *
 * The layout of the weights is drawn in StripedLayout.java. What matters here: a line of 64 bytes holds all 64 rows of a block of
 * columns 8 r + 2 s (low nibbles) and 8 r + 2 s + 1 (high nibbles), byte 16 t + 4 j + 2 e + p being row 16 j + 8 p + 2 t + e.
 * Digits are put into that order once. Codes other than 4-bit integers are taken apart into two planes of such first, see planes.h.
 */
#ifndef JMARLIN_PRODUCT_H
#define JMARLIN_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "amx.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    STRIP = 64,               /* columns of a strip, rows and columns of a block */
    LINE = 64,                /* bytes of a line */
    SUB_BLOCK_BYTES = 8 * LINE,
    BLOCK_BYTES = 4 * SUB_BLOCK_BYTES,    /* of 4-bit codes */
    LONGEST_SEGMENT = 128,    /* rows */
    UNIT_ROWS = 4,            /* rows of A that are read together */
    MOST_ROWS = 128,          /* of one call */
    FEW_ROWS = 2,             /* that a kernel for few rows takes */
    QUARTER = 16,             /* columns whose sums are computed together */
    QUARTER_BYTES = 8 * LINE, /* of a quarter in a block */
};

enum element_type { FP16 = 0, BF16 = 1, FP32 = 2 };

enum code_type { INT4 = 0, INT8 = 1, E2M1 = 2 };

/* NOTES: Java fills these structures (NativeLayer.java, NativeCall.java) as rows of 64-bit numbers; addresses may be 0 where said. */

/* Where a strip lies. */
struct strip {
    const uint8_t *codes;     /* [blocks][block_bytes] */
    const uint16_t *scales;   /* [scale_rows][STRIP], of the layer's scale_type, shifted as PackedWeights says */
    const uint16_t *zeros;    /* [scale_rows][STRIP] as PackedWeights says; 0: all zero points are the middle of the codes */
};

struct layer {
    int64_t k, n;
    int64_t blocks;           /* of a strip */
    int64_t code_type;
    int64_t segment_rows;     /* 16, 32, 64 or 128 */
    int64_t segments;
    int64_t segments_per_scale;
    int64_t scale_type;       /* FP16 or BF16 */
    const float *factors;     /* [strips][STRIP]: a scale is (shifted scale * half_shift(scale_type)) * factor */
    const float *zero_factors;    /* [strips][STRIP] what a float zero is multiplied by; 0: zeros are integers, or none */
    const float *bias;        /* [strips][STRIP], or 0 */
    const int32_t *order;     /* [k]: the activation that each row multiplies, or 0 */
    const struct strip *strips;
};

struct call {
    const struct layer *layer;
    int64_t type;             /* of a */
    int64_t rows;             /* at most MOST_ROWS */
    const uint8_t *a;         /* [rows][k] */
    uint8_t *c;               /* [rows][n], or [rows][n / 2] with silu_mul, of output_type */
    int8_t *digits;           /* [segments][rows][places][segment_bytes], most significant place first, in the order of a line */
    float *units;             /* [segments][rows] what a digit sum of 1 is worth */
    int32_t *sums;            /* [segments][rows][2] sums of activations in units: all but the last digit, the last; of two digits only
                                 the first is used, for both together */
    uint8_t *refused;         /* [rows] 1: the row holds infinities, NaN or extreme magnitudes; nothing is written for it */
    int64_t output_type;      /* type, or FP32 */
    const uint8_t *residual;  /* added to what is stored; like c, may be c; or 0 */
    const float *row_factors; /* [rows] what a row's sums are multiplied by, or 0 */
    int64_t silu_mul;         /* 1: of each two columns g and u only silu(g) * u is stored */
};

/* Where digit sums of a quarter go. */
struct quarter {
    const float *scales;          /* [QUARTER] */
    const int32_t *zeros;         /* [QUARTER] */
    const float *units;           /* [rows] */
    const int32_t *activations;   /* [rows][2] as in struct call */
    float (*totals)[STRIP];       /* [rows], from the quarter's first column on */
};

/* What an instruction set offers. */
struct product {
    void (*read)(const struct call *call, int64_t unit);
    void (*multiply)(const struct call *call, int64_t strip);
};

extern const struct product product_avx2, product_vnni, product_amx, product_neon;

/* NOTES: InstructionSet.java has the same numbers. */
enum instruction_set { AVX2 = 0, VNNI = 1, NEON = 2, AMX = 3 };

/* Whether this machine has an instruction set, see amx.h. */
enum state state_of(enum instruction_set set);

/* The product with an instruction set that is READY. */
const struct product *product_of(enum instruction_set set);

/* ---- geometry ---- */

INLINE int digits_of(int64_t type)
{
    return type == FP32 ? 3 : 2;
}

INLINE int64_t element_bytes(int64_t type)
{
    return type == FP32 ? 4 : 2;
}

INLINE int64_t block_bytes(const struct layer *layer)
{
    return layer->code_type == INT8 ? 2 * BLOCK_BYTES : BLOCK_BYTES;
}

/* Planes of 4-bit integers that a code is taken apart into. */
INLINE int planes_of(const struct layer *layer)
{
    return layer->code_type == INT4 ? 1 : 2;
}

/* Bytes of a row's digits of one place in one segment: whole blocks. Part of a block (a group of 32 or 16) is a whole one with zeros
   for the rest. */
INLINE int64_t segment_bytes(const struct layer *layer)
{
    return layer->segment_rows < STRIP ? STRIP : layer->segment_rows;
}

/* The digits of a row in a segment. */
INLINE int8_t *row_digits(const struct call *call, int64_t segment, int64_t row)
{
    return call->digits + (segment * call->rows + row) * digits_of(call->type) * segment_bytes(call->layer);
}

/* The first block of a segment. */
INLINE int64_t segment_block(const struct layer *layer, int64_t segment)
{
    return segment * layer->segment_rows / STRIP;
}

/* Blocks of a segment: 1 or 2, the last one of two may be missing. */
INLINE int segment_blocks(const struct layer *layer, int64_t segment)
{
    return layer->segment_rows == LONGEST_SEGMENT && segment_block(layer, segment) + 1 < layer->blocks ? 2 : 1;
}

/* The line of a strip's block that holds columns 16 quarter + 2 pair and the one after it. */
INLINE const uint8_t *line_of(const uint8_t *block, int quarter, int pair)
{
    return block + pair % 4 * SUB_BLOCK_BYTES + (2 * quarter + pair / 4) * LINE;
}

/* Asks for what will be read in a while: the line four blocks on, near its strip's end one of the next strip, or nothing at all.
   NOTES: without, cold weights arrive at two thirds of the rate. */
INLINE void prefetch(const uint8_t *line)
{
    __builtin_prefetch(line + 4 * BLOCK_BYTES);
}

/* A factor that keeps a shifted scale away from the ends of a float's range until its column's factor brings it down. */
INLINE float half_shift(int64_t scale_type)
{
    return scale_type == FP16 ? 0x1p-10f : 0x1p-120f;
}

#endif
