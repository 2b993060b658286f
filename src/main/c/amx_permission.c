/* The way to AMX's registers on Linux (5.16 or newer): a process asks for them once, before its first tile instruction. */
#include "amx.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25,    /* edx of cpuid 7.0 */
    OSXSAVE = 1 << 27,                         /* ecx of cpuid 1 */
    TILE_STATES = 3 << 17,                     /* configuration and data in XCR0 */
    TILE_DATA = 18,
    ARCH_REQ_XCOMP_PERM = 0x1023,
};

enum state amx_permission(void)
{
    uint32_t a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & AMX_TILE) == 0 || (d & AMX_INT8) == 0) {
        return ABSENT;
    }
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & OSXSAVE) == 0) {
        return NOT_SAVED;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & TILE_STATES) != TILE_STATES) {
        return NOT_SAVED;
    }
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 ? READY : REFUSED;
}
#else
enum state amx_permission(void)
{
    return ABSENT;
}
#endif
