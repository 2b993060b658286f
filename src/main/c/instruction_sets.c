/* Which instruction sets this machine has, compiler and operating system included. */
#include "product.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1UL << 20)
#endif
#endif

#if defined(__x86_64__)
static enum state amx_state(void)
{
    static int known = -1;    /* found once; two threads that look for it at once find the same */
    int state = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
    if (state < 0) {
        state = (int) amx_permission();
        if (state == READY && !amx_is_right()) {
            state = WRONG;
        }
        __atomic_store_n(&known, state, __ATOMIC_RELEASE);
    }
    return (enum state) state;
}
#endif

enum state state_of(enum instruction_set set)
{
#if defined(__x86_64__)
    /* gcc's table of features holds only what the operating system saves, too. */
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool vnni = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
    switch (set) {
        case AVX2: return avx2 ? READY : ABSENT;
        case VNNI: return vnni ? READY : ABSENT;
        case AMX: return vnni ? amx_state() : ABSENT;
        default: return ABSENT;
    }
#elif defined(__aarch64__)
    return set == NEON && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? READY : ABSENT;
#else
    (void) set;
    return ABSENT;
#endif
}

const struct product *product_of(enum instruction_set set)
{
#if defined(__x86_64__)
    return set == AVX2 ? &product_avx2 : set == VNNI ? &product_vnni : &product_amx;
#elif defined(__aarch64__)
    (void) set;
    return &product_neon;
#else
    (void) set;
    return 0;
#endif
}
