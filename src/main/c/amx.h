/* Whether AMX can be used: its registers have to be asked for, and what it computes is compared once with AVX-512 VNNI's. */
#ifndef JMARLIN_AMX_H
#define JMARLIN_AMX_H

#include <stdbool.h>

/* NOTES: InstructionSet.java has the same numbers, for every instruction set. */
enum state {
    READY = 0,
    ABSENT = 1,       /* not in this processor */
    NOT_SAVED = 2,    /* the operating system does not keep its registers */
    REFUSED = 3,      /* the operating system does not let this process use them */
    WRONG = 4,        /* its first products were not VNNI's */
};

/* amx_permission.c: all but the last. Asks the operating system for the registers. */
enum state amx_permission(void);

/* amx_check.c: whether a few products have the bits of VNNI. */
bool amx_is_right(void);

#endif
