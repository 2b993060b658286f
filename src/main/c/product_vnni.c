/* The product with AVX-512 VNNI: vpdpbusd multiplies 64 unsigned bytes (codes) with 64 signed ones (digits) and adds each four
   products to one of 16 sums. */
#if defined(__x86_64__)

#include "vnni.h"

enum {
    ROWS = 4,                 /* times even and odd columns and three places fill 24 of 32 registers */
};

/* NOTES: gcc 12 copies registers around its own intrinsic of this instruction, which costs a third of the time. */
TARGET INLINE void dot(__m512i *sums, __m512i codes, __m512i digits)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(codes), "v"(digits));
}

/* NOTES: 16 times the codes, exact like them: the sums of two places reach 16 * 15 * 32639 * 128, half of what 32 bits hold. */
TARGET INLINE __m512i high_codes(__m512i codes)
{
    return _mm512_and_si512(codes, _mm512_set1_epi8((char) 0xf0));
}

/* ---- many rows: 16 columns, two steps of each ---- */

/* Adds up the two steps of each column: of even columns to even words, of odd ones, 16 times their codes, to odd words. */
TARGET INLINE __m512i both_steps(__m512i even, __m512i odd)
{
    even = _mm512_add_epi32(even, _mm512_srli_epi64(even, 32));
    odd = _mm512_srai_epi32(_mm512_add_epi32(odd, _mm512_slli_epi64(odd, 32)), 4);
    return _mm512_mask_blend_epi32(0xaaaa, even, odd);
}

TARGET INLINE void many_rows(const uint8_t *turned, int stride, int vectors, const int8_t *digits, int64_t place_bytes, int rows,
        int places, const struct quarter *to)
{
    __m512i even[ROWS][3], odd[ROWS][3];
    for (int row = 0; row < rows; row++) {
        for (int place = 0; place < places; place++) {
            even[row][place] = odd[row][place] = _mm512_setzero_si512();
        }
    }
    for (int v = 0; v < vectors; v++) {
        __m512i codes = load(turned), low = low_codes(codes), high = high_codes(codes);
        for (int row = 0; row < rows; row++) {
            for (int place = 0; place < places; place++) {
                int64_t eight;
                memcpy(&eight, digits + (row * places + place) * place_bytes, 8);
                __m512i given = _mm512_set1_epi64(eight);
                dot(&even[row][place], low, given);
                dot(&odd[row][place], high, given);
            }
        }
        turned += stride * LINE;
        digits += stride * 8;
    }
    for (int row = 0; row < rows; row++) {
        __m512i sums = both_steps(two_places(even[row][0], even[row][1]), two_places(odd[row][0], odd[row][1]));
        add_row(to, row, sums, places == 3 ? both_steps(even[row][2], odd[row][2]) : sums, places);
    }
}

#include "strip.h"

/* ---- few rows: 16 sums of a column along k ---- */

/* From sums over low nibbles in even words and over whole bytes in odd ones, 16 high + low, those over high nibbles.
   NOTES: of whole bytes the sums of two places reach 255 * 32639 * 128, half of what 32 bits hold. */
TARGET INLINE __m512i columns(__m512i sums)
{
    __m512i high = _mm512_srai_epi32(_mm512_sub_epi32(sums, _mm512_slli_epi64(sums, 32)), 4);
    return _mm512_mask_blend_epi32(0xaaaa, sums, high);
}

/* Parts of the sums over four vectors: number 4 i + x of the result is a part of vector x's. */
TARGET INLINE __m512i fold4(const __m512i given[4])
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(given[0], given[1]), _mm512_unpackhi_epi32(given[0], given[1]));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(given[2], given[3]), _mm512_unpackhi_epi32(given[2], given[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* The 16 sums over vectors 0 to 15, from what fold4 made of each four. */
TARGET INLINE __m512i fold16(const __m512i fours[4])
{
    __m512i first = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[0], fours[1], 0x88), _mm512_shuffle_i32x4(fours[0], fours[1], 0xdd));
    __m512i second = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[2], fours[3], 0x88), _mm512_shuffle_i32x4(fours[2], fours[3], 0xdd));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(first, second, 0x88), _mm512_shuffle_i32x4(first, second, 0xdd));
}

TARGET INLINE void add_place(__m512i lines[2][2], const int8_t *digits, int blocks, __m512i sums[4])
{
    for (int b = 0; b < blocks; b++) {
        __m512i given = load(digits + b * LINE);
        for (int i = 0; i < 2; i++) {
            dot(&sums[2 * i], low_codes(lines[i][b]), given);
            dot(&sums[2 * i + 1], lines[i][b], given);
        }
    }
}

/* Four columns, of two lines in each block: the first two places go to sums, times 256 in between; a third to last. */
TARGET INLINE void column_sums(__m512i lines[2][2], const int8_t *digits, int64_t place_pitch, int blocks, int places, __m512i sums[4],
        __m512i last[4])
{
    for (int i = 0; i < 4; i++) {
        sums[i] = last[i] = _mm512_setzero_si512();
    }
    add_place(lines, digits, blocks, sums);
    for (int i = 0; i < 4; i++) {
        sums[i] = _mm512_slli_epi32(sums[i], 8);
    }
    add_place(lines, digits + place_pitch, blocks, sums);
    if (places == 3) {
        add_place(lines, digits + 2 * place_pitch, blocks, last);
    }
}

TARGET INLINE void few_rows(const uint8_t *block, int blocks, int quarter, const int8_t *digits, int64_t place_bytes, int rows,
        int places, const struct quarter *to)
{
    __m512i fours[FEW_ROWS][4], last_fours[FEW_ROWS][4];
    for (int four = 0; four < 4; four++) {
        __m512i lines[2][2], sum[4], last[4];
        for (int i = 0; i < 2; i++) {
            for (int b = 0; b < blocks; b++) {
                const uint8_t *line = line_of(block + b * BLOCK_BYTES, quarter, 2 * four + i);
                prefetch(line);
                lines[i][b] = load(line);
            }
        }
        for (int row = 0; row < rows; row++) {
            column_sums(lines, digits + row * places * place_bytes, place_bytes, blocks, places, sum, last);
            fours[row][four] = fold4(sum);
            last_fours[row][four] = fold4(last);
        }
    }
    for (int row = 0; row < rows; row++) {
        add_row(to, row, columns(fold16(fours[row])), columns(fold16(last_fours[row])), places);
    }
}

#include "few.h"

const struct product product_vnni = {read, multiply};

#endif
