/* The product with weights in full precision: dense.c. */
#ifndef JMARLIN_DENSE_H
#define JMARLIN_DENSE_H

#include <stdint.h>

#include "product.h"

enum { DENSE_MOST_ROWS = 64 };  /* of one call */

enum dense_type { DENSE_FP16 = FP16, DENSE_BF16 = BF16, DENSE_FP32 = FP32 };

/* NOTES: Java fills this structure (DenseLinear.java) as a row of 64-bit numbers. */
struct dense_call {
    int64_t type;             /* of the weights */
    int64_t k, n;
    int64_t rows;             /* at most DENSE_MOST_ROWS */
    const float *a;           /* [rows][k] */
    float *c;                 /* [rows][n] */
    const float *bias;        /* [n], or 0 */
};

/* Columns first to end - 1 for all rows, with an instruction set that this machine has.
   weights: those of the first column, the others behind it, [end - first][k]. */
void dense_multiply(enum instruction_set set, const struct dense_call *call, const uint8_t *weights, int64_t first, int64_t end);

#endif
