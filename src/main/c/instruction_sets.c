/* Which instruction sets this machine has, compiler and operating system included. */
#include "product.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1UL << 20)
#endif
#endif

const struct product *product_of(enum instruction_set set)
{
#if defined(__x86_64__)
    /* gcc's table of features holds only what the operating system saves, too. */
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512dq");
    if (set == AVX2 && avx2) {
        return &product_avx2;
    }
    if (set == VNNI && avx2 && avx512 && __builtin_cpu_supports("avx512vnni")) {
        return &product_vnni;
    }
#elif defined(__aarch64__)
    if (set == NEON && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) {
        return &product_neon;
    }
#endif
    return 0;
}
