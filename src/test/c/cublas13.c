/*
 * Stand-in for libcublas.so.13: says which of its 19 arguments did not arrive in cublasGemmEx.
 *
 * gcc -shared -fPIC -o libcublas.so.13 cublas13.c -Wl,-soname,libcublas.so.13 -Wl,--version-script=cublas13.map
 */
#include <stddef.h>
#include <stdint.h>

typedef void *Handle;

/* Handles are two different addresses, so that a wrong one can be told from the right one. */
static char first_handle, other_handle;
static int created;

int cublasCreate_v2(Handle *handle)
{
    *handle = created++ == 0 ? &first_handle : &other_handle;
    return 0;
}

int cublasDestroy_v2(Handle handle)
{
    return handle == &first_handle || handle == &other_handle ? 0 : 1;
}

int cublasGetVersion_v2(Handle handle, int *version)
{
    *version = 130002;
    return handle == NULL;
}

/* Bit i of the result is set if argument i (from 0) is not what the test passes. */
int cublasGemmEx(Handle handle, int transa, int transb, int m, int n, int k, const float *alpha,
                 const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
                 void *c, int c_type, int ldc, int compute_type, int algo)
{
    const int arrived[] = {
        handle == &first_handle, transa == 1, transb == 0, m == 101, n == 102, k == 103, *alpha == 1.5f,
        a == (void *)0x700011112222, a_type == 2, lda == 201, b == (void *)0x700033334444, b_type == 14, ldb == 202,
        *beta == -0.25f,
        c == (void *)0x700055556666, c_type == 0, ldc == 203, compute_type == 68, algo == -1,
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof arrived / sizeof *arrived; i++) {
        wrong |= !arrived[i] << i;
    }
    return wrong;
}
