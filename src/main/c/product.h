/*
 * The product C[m][n] = A[m][k] * W[k][n] with packed 4-bit weights, on the processor.
 *
 * Activations become integers, a segment of k at a time: a segment is a group, or 128 rows of it where groups are longer. Its unit is
 * its largest magnitude / 32639 (8355583 for fp32), each value a number of units, written as two (three) signed bytes, its digits.
 * Sums of codes times digits over a segment are exact in 32 bits, whatever the codes are. They are then scaled and added to the
 * column's total by one multiply-add, segment after segment. So every instruction set gives the same bits, for any number of threads,
 * and a row's bits do not depend on the rows beside it.
 *
 *   read     a unit of up to 16 rows of A -> digits, units, sums         read.h, the same code compiled for each instruction set
 *   multiply a strip of 64 columns x all rows -> C                       product_<instruction set>.c, each with two kernels:
 *              few rows:   a vector runs along k, as the packed bytes do; sums of 64 columns are added up across vectors
 *              many rows:  a vector holds 16 rows; decoded codes are broadcast, nothing is added up across
 *
 * The layout of the weights is drawn in StripedLayout.java. What matters here: a line of 64 bytes holds all 64 rows of a block of
 * columns 8 r + 2 s (low nibbles) and 8 r + 2 s + 1 (high nibbles), byte 16 t + 4 j + 2 e + p being row 16 j + 8 p + 2 t + e.
 * Digits are put into that order once.
 */
#ifndef JMARLIN_PRODUCT_H
#define JMARLIN_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    STRIP = 64,               /* columns of a strip, rows and columns of a block */
    LINE = 64,                /* bytes of a line */
    SUB_BLOCK_BYTES = 8 * LINE,
    BLOCK_BYTES = 4 * SUB_BLOCK_BYTES,
    LONGEST_SEGMENT = 128,    /* rows */
    UNIT_ROWS = 16,           /* rows of A that are read together; the vector of the kernels for many rows */
    MOST_UNITS = 8,           /* of one call */
    FEW_ROWS = 8,             /* from 9 rows on a vector of 16 costs less, whatever part of it is used (measured for AVX2 and AVX-512) */
    QUARTER = 16,             /* columns whose sums are added up together */
};

enum element_type { FP16 = 0, BF16 = 1, FP32 = 2 };

/* NOTES: Java fills these structures (NativeLayer.java, NativeCall.java) as rows of 64-bit numbers; addresses may be 0 where said. */

/* Where a strip lies. */
struct strip {
    const uint8_t *codes;     /* [blocks][BLOCK_BYTES] */
    const uint16_t *scales;   /* [scale_rows][STRIP], of the layer's scale_type, shifted as PackedWeights says */
    const uint16_t *zeros;    /* [scale_rows][STRIP] as PackedWeights says; 0: all zero points are 8 */
};

struct layer {
    int64_t k, n;
    int64_t blocks;           /* of a strip */
    int64_t segment_rows;     /* 32, 64 or 128 */
    int64_t segments;
    int64_t segments_per_scale;
    int64_t scale_type;       /* FP16 or BF16 */
    const float *factors;     /* [strips][STRIP]: a scale is (shifted scale * half_shift(scale_type)) * factor */
    const float *bias;        /* [strips][STRIP], or 0 */
    const int32_t *order;     /* [k]: the activation that each row multiplies, or 0 */
    const struct strip *strips;
};

struct call {
    const struct layer *layer;
    int64_t type;             /* of a */
    int64_t rows;             /* at most MOST_UNITS * UNIT_ROWS */
    const uint8_t *a;         /* [rows][k] */
    uint8_t *c;               /* [rows][n], or [rows][n / 2] with silu_mul, of output_type */
    int8_t *digits;           /* [units][unit_bytes], see unit_digits */
    float *units;             /* [units][segments][UNIT_ROWS] what a digit sum of 1 is worth */
    int32_t *sums;            /* [units][segments][2][UNIT_ROWS] sums of activations in units: all but the last digit, the last;
                                 of two digits only the first is used, for both together */
    uint8_t *refused;         /* [rows] 1: the row holds infinities, NaN or extreme magnitudes; nothing is written for it */
    int64_t output_type;      /* type, or FP32 */
    const uint8_t *residual;  /* added to what is stored; like c, may be c; or 0 */
    const float *row_factors; /* [rows] what a row's sums are multiplied by, or 0 */
    int64_t silu_mul;         /* 1: of each two columns g and u only silu(g) * u is stored */
};

/* What an instruction set offers. */
struct product {
    void (*read)(const struct call *call, int64_t unit);
    void (*multiply)(const struct call *call, int64_t strip);
};

extern const struct product product_avx2, product_vnni, product_neon;

/* NOTES: InstructionSet.java has the same numbers. */
enum instruction_set { AVX2 = 0, VNNI = 1, NEON = 2 };

/* The product with an instruction set; 0 if this machine does not have it. */
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

/* Rows of a unit that exist. */
INLINE int unit_rows(const struct call *call, int64_t unit)
{
    int64_t rows = call->rows - unit * UNIT_ROWS;
    return rows < UNIT_ROWS ? (int) rows : UNIT_ROWS;
}

/* Bytes of a row's digits of one place in one segment, as the kernels for few rows read them: whole blocks. Half a block (a group
   of 32) is a whole one with zeros for the other half. */
INLINE int64_t segment_bytes(const struct layer *layer)
{
    return layer->segment_rows < STRIP ? STRIP : layer->segment_rows;
}

/*
 * The digits of a unit, most significant place first:
 *   few rows:  [segment][row][place][segment_bytes]    in the order of a line
 *   many rows: [segment][step][place][UNIT_ROWS][4]    a step is four neighbouring bytes of a line
 * Both fit into UNIT_ROWS rows of segment_rows bytes.
 */
INLINE int8_t *unit_digits(const struct call *call, int64_t unit)
{
    const struct layer *layer = call->layer;
    return call->digits + unit * UNIT_ROWS * layer->segments * layer->segment_rows * digits_of(call->type);
}

INLINE float *unit_units(const struct call *call, int64_t unit)
{
    return call->units + unit * UNIT_ROWS * call->layer->segments;
}

INLINE int32_t *unit_sums(const struct call *call, int64_t unit)
{
    return call->sums + unit * 2 * UNIT_ROWS * call->layer->segments;
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
