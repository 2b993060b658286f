/*
 * Executes the few AMX instructions of product_amx.c on a processor that has none: they raise SIGILL, whose handler decodes and does
 * them, with the checks that the processor makes. Any other instruction goes to the handler before. From the instruction pages of
 * Intel's Software Developer's Manual, volume 2 (ldtilecfg, tilezero, tileloadd, tilestored, tdpbsud, tilerelease).
 *
 * Takes the place of amx_permission.c. With AMX_EMULATOR=wrong in the environment its sums are wrong.
 *
 * All are encoded as C4, then a byte with R, X, B (inverted) and 2 (the opcode map 0F38), then one with W, vvvv (inverted), L and pp,
 * opcode and ModRM: 49 /0 memory, no prefix: ldtilecfg; 49 C0: tilerelease; 49 11rrr000, F2: tilezero; 4B memory with an index, F2:
 * tileloadd, 66: tileloaddt1, F3: tilestored; 5E 11rrrbbb, F3: tdpbsud of sums r, signed b and unsigned vvvv.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "amx.h"

enum { TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64, NO_PREFIX = 0, PREFIX_66 = 1, PREFIX_F3 = 2, PREFIX_F2 = 3 };

struct tile {
    uint8_t bytes[MOST_ROWS][MOST_BYTES];
};

struct configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static __thread struct configuration shape;
static __thread struct tile tiles[TILES];
static struct sigaction before;
static int error;

static void require(bool holds, const char *rule)
{
    if (!holds) {
        fprintf(stderr, "amx_emulator: the processor would refuse this: %s\n", rule);
        abort();
    }
}

/* A tile of the configuration. */
static struct tile *tile_of(int number)
{
    require(shape.palette == 1, "tiles are configured");
    require(number < TILES && shape.rows[number] > 0 && shape.row_bytes[number] > 0, "the tile has a shape");
    return &tiles[number];
}

static void load_configuration(const uint8_t *from)
{
    memcpy(&shape, from, sizeof shape);
    memset(tiles, 0, sizeof tiles);
    require(shape.palette == 1 && shape.start_row == 0, "palette 1 from row 0 on");
    for (int i = 0; i < 14; i++) {
        require(shape.reserved[i] == 0, "reserved bytes are 0");
    }
    for (int i = 0; i < 16; i++) {
        require(i < TILES ? shape.rows[i] <= MOST_ROWS && shape.row_bytes[i] <= MOST_BYTES && shape.row_bytes[i] % 4 == 0
                && (shape.rows[i] == 0) == (shape.row_bytes[i] == 0) : shape.rows[i] == 0 && shape.row_bytes[i] == 0, "shapes of tiles");
    }
}

static void load_tile(int number, const uint8_t *from, int64_t stride)
{
    struct tile *to = tile_of(number);
    memset(to, 0, sizeof *to);
    for (int row = 0; row < shape.rows[number]; row++) {
        memcpy(to->bytes[row], from + row * stride, shape.row_bytes[number]);
    }
}

static void store_tile(int number, uint8_t *to, int64_t stride)
{
    struct tile *from = tile_of(number);
    for (int row = 0; row < shape.rows[number]; row++) {
        memcpy(to + row * stride, from->bytes[row], shape.row_bytes[number]);
    }
}

static void dot(int sums, int given_signed, int given_unsigned)
{
    struct tile *to = tile_of(sums), *a = tile_of(given_signed), *b = tile_of(given_unsigned);
    require(sums != given_signed && sums != given_unsigned && given_signed != given_unsigned, "three different tiles");
    require(shape.rows[sums] == shape.rows[given_signed] && shape.row_bytes[sums] == shape.row_bytes[given_unsigned]
            && shape.row_bytes[given_signed] / 4 == shape.rows[given_unsigned], "rows and columns of the three fit");
    for (int row = 0; row < shape.rows[sums]; row++) {
        for (int column = 0; column < shape.row_bytes[sums] / 4; column++) {
            int32_t sum;
            memcpy(&sum, &to->bytes[row][4 * column], 4);
            sum += error;
            for (int step = 0; step < shape.rows[given_unsigned]; step++) {
                for (int i = 0; i < 4; i++) {
                    sum += (int8_t) a->bytes[row][4 * step + i] * b->bytes[step][4 * column + i];
                }
            }
            memcpy(&to->bytes[row][4 * column], &sum, 4);
        }
    }
}

enum state amx_permission(void)
{
    return READY;
}

/* ---- decoding ---- */

static const int REGISTERS[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
    REG_R12, REG_R13, REG_R14, REG_R15};

struct operand {
    uint8_t *address;     /* without the index */
    int64_t index;
    int length;           /* bytes of ModRM and what follows */
};

static struct operand memory_operand(const uint8_t *modrm, bool x, bool b, const greg_t *registers)
{
    int mode = modrm[0] >> 6, rm = modrm[0] & 7;
    struct operand operand = {0, 0, 1};
    int64_t base;
    if (rm == 4) {
        int sib = modrm[1], base_number = (sib & 7) | b << 3, index_number = (sib >> 3 & 7) | x << 3;
        operand.length++;
        require(mode != 0 || (sib & 7) != 5, "no address without a base: this emulator knows none");
        base = registers[REGISTERS[base_number]];
        operand.index = index_number == 4 ? 0 : (int64_t) ((uint64_t) registers[REGISTERS[index_number]] << (sib >> 6));
    } else {
        require(mode != 0 || rm != 5, "no address relative to the instruction: this emulator knows none");
        base = registers[REGISTERS[rm | b << 3]];
    }
    int32_t displacement = 0;
    if (mode == 1) {
        displacement = (int8_t) modrm[operand.length];
        operand.length++;
    } else if (mode == 2) {
        memcpy(&displacement, modrm + operand.length, 4);
        operand.length += 4;
    }
    operand.address = (uint8_t *) (base + displacement);
    return operand;
}

/* Does the instruction. Returns its length; 0 if it is none of these. */
static int execute(const uint8_t *code, const greg_t *registers)
{
    if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) {
        return 0;
    }
    bool x = (code[1] & 0x40) == 0, b = (code[1] & 0x20) == 0;
    int prefix = code[2] & 3, opcode = code[3], modrm = code[4], reg = modrm >> 3 & 7, vvvv = ~(code[2] >> 3) & 15;
    bool memory = modrm >> 6 != 3;
    if (opcode == 0x49 && prefix == NO_PREFIX && memory && reg == 0) {
        struct operand from = memory_operand(code + 4, x, b, registers);
        load_configuration(from.address + from.index);
        return 4 + from.length;
    }
    if (opcode == 0x49 && prefix == NO_PREFIX && modrm == 0xc0) {
        memset(&shape, 0, sizeof shape);
        memset(tiles, 0, sizeof tiles);
        return 5;
    }
    if (opcode == 0x49 && prefix == PREFIX_F2 && (modrm & 0xc7) == 0xc0) {
        memset(tile_of(reg), 0, sizeof(struct tile));
        return 5;
    }
    if (opcode == 0x4b && prefix != NO_PREFIX && memory && (modrm & 7) == 4) {
        struct operand at = memory_operand(code + 4, x, b, registers);
        if (prefix == PREFIX_F3) {
            store_tile(reg, at.address, at.index);
        } else {
            load_tile(reg, at.address, at.index);
        }
        return 4 + at.length;
    }
    if (opcode == 0x5e && prefix == PREFIX_F3 && !memory) {
        dot(reg, modrm & 7, vvvv);
        return 5;
    }
    return 0;
}

static void handle(int signal, siginfo_t *information, void *given)
{
    greg_t *registers = ((ucontext_t *) given)->uc_mcontext.gregs;
    int length = execute((const uint8_t *) registers[REG_RIP], registers);
    if (length > 0) {
        registers[REG_RIP] += length;
    } else if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(signal, information, given);
    } else {
        sigaction(SIGILL, &before, 0);    /* and so again, to whoever was asked before */
    }
}

__attribute__((constructor)) static void install(void)
{
    const char *kind = getenv("AMX_EMULATOR");
    error = kind != 0 && strcmp(kind, "wrong") == 0;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGILL, &action, &before) != 0) {
        perror("amx_emulator: sigaction");
        abort();
    }
}
