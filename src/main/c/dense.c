/* The product C[m][n] = A[m][k] * W^T + bias with weights W[n][k] in full precision, on the processor; A and C in fp32.
 *
 * Four columns at a time are widened to fp32, a block of k after the other, and multiplied with all rows while they are in the first
 * level cache. A sum is 16 lanes, lane i of the elements i, i + 16, ..., which are added up in one order at the end. Products and sums
 * are rounded each by itself, so that vectors of every length give the same bits, and a row's bits do not depend on the rows beside it.
 */
#include <string.h>

#include "dense.h"

enum {
    LANES = 16,
    COLUMNS = 4,
    BLOCK = 2048,             /* elements of k: four widened columns take 32 KB */
    PITCH = BLOCK + LANES,    /* of a widened column: at a power of two all would meet in the same lines of the cache */
};

/* The lanes' sum. */
INLINE float total(const float sums[LANES])
{
    float lane[LANES];
    memcpy(lane, sums, sizeof lane);
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lane[i] += lane[half + i];
        }
    }
    return lane[0];
}

#if defined(__x86_64__)

#define VECTOR 8
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2")))
#include "dense_vectors.h"

#define VECTOR 16
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "dense_vectors.h"

#else

#define VECTOR 4
#define NAME(x) x##_neon
#define TARGET
#include "dense_vectors.h"

#endif

void dense_multiply(enum instruction_set set, const struct dense_call *call, const uint8_t *weights, int64_t first, int64_t end)
{
#if defined(__x86_64__)
    (set == VNNI || set == AMX ? dense_multiply_avx512 : dense_multiply_avx2)(call, weights, first, end);
#else
    (void) set;
    dense_multiply_neon(call, weights, first, end);
#endif
}
