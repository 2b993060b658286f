// A product C = A * W + bias: its data, the packed weights by a second, slow implementation of the layout, and what must come out.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "form.hpp"
#include "format.hpp"

namespace suites {

inline int ceil_div(int x, int y) { return (x + y - 1) / y; }

struct Size {
    int m, n, k;
    int group;   // 16, 32, 64, 128, 256 or -1: one group per column

    int groups() const { return group < 0 || group >= k ? 1 : ceil_div(k, group); }
    int rows_per_group() const { return groups() == 1 ? k : group; }
};

enum class Values {
    kExact,  // small integers and quarters: every sum is exact in fp32, in any order
    kReal    // Gaussian activations, uneven scales
};

/** The logical operands. */
struct Problem {
    Size size;
    Format format;
    Form form;
    bool has_bias;
    std::vector<u8> codes;        // [k][n]; of sparse weights 8 where none is stored
    std::vector<u8> places;       // [k / 4][n] of sparse weights: which two of four k are stored, first | second << 2
    std::vector<u16> scales;      // [groups][n], bits
    std::vector<u16> zeros;       // [groups][n], 0 to as many as there are codes; the middle if there are none of its own
    std::vector<u16> float_zeros; // [groups][n], bits; 0 if the offset is none
    std::vector<float> bias;      // [n]
    std::vector<u16> activations; // [m][k], bits

    Problem(Size s, Format f, const Form& of, bool bias_too, Values values, u32 seed)
        : size(s), format(f), form(of), has_bias(bias_too) {
        std::mt19937 random(seed);
        auto integer = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
        std::normal_distribution<double> gauss;
        const bool exact = values == Values::kExact;

        codes.resize(static_cast<std::size_t>(s.k) * s.n);
        for (u8& q : codes) q = static_cast<u8>(integer(0, form.codes() - 1));
        if (form.sparse) thin_out(random);

        scales.resize(static_cast<std::size_t>(s.groups()) * s.n);
        zeros.resize(scales.size());
        float_zeros.resize(scales.size());
        const bool odd_scales = form.number != Number::kInt8 || !f.bf16;    // bf16 has the bits of an 8-bit code, not of three of them
        for (std::size_t i = 0; i < scales.size(); ++i) {
            const double scale = exact ? std::ldexp(integer(0, 1) && odd_scales ? 3 : 1, -2 - integer(0, 2))
                                       : 0.01 * (0.5 + integer(0, 1000) / 1000.0);
            scales[i] = static_cast<u16>(f.round(integer(0, 7) == 0 ? -scale : scale));
            zeros[i] = static_cast<u16>(form.offset == Offset::kZeroPoint ? integer(0, form.codes()) : form.middle());
            if (form.offset != Offset::kFloatZero) continue;
            zeros[i] = 0;       // half a scale off the codes' own multiples where the data may be uneven: no weight is nearly 0
            float_zeros[i] = static_cast<u16>(f.round(f.value(scales[i]) * -(integer(0, form.codes() - 1) + (exact ? 0 : 0.5))));
        }
        for (int g = 0; g < s.groups(); ++g) scales[static_cast<std::size_t>(g) * s.n + s.n / 2] = 0;  // a column of zeros

        bias.resize(s.n);
        for (float& b : bias) b = bias_too ? static_cast<float>(exact ? integer(-64, 64) / 8.0 : gauss(random)) : 0.f;

        activations.resize(static_cast<std::size_t>(s.m) * s.k);
        for (u16& a : activations) a = static_cast<u16>(f.round(exact ? integer(-3, 3) : gauss(random)));
    }

    /** Chooses two of every four k, also where not all of them exist; a stored weight may be 0 too. */
    void thin_out(std::mt19937& random) {
        places.resize(static_cast<std::size_t>(ceil_div(size.k, 4)) * size.n);
        for (u8& two : places) two = legal_places(random());
        for (int k = 0; k < size.k; ++k) {
            for (int n = 0; n < size.n; ++n) {
                const u8 two = places[static_cast<std::size_t>(k / 4) * size.n + n];
                if (k % 4 != (two & 3) && k % 4 != two >> 2) codes[static_cast<std::size_t>(k) * size.n + n] = 8;
            }
        }
    }

    /** One of the six that name two of four in order. */
    static u8 legal_places(u32 random) {
        static const u8 kLegal[] = {0x4, 0x8, 0xc, 0x9, 0xd, 0xe};
        return kLegal[random % 6];
    }

    std::size_t group_index(int row, int column) const {
        return static_cast<std::size_t>(row / size.rows_per_group()) * size.n + column;
    }

    double weight(int row, int column) const {
        const std::size_t g = group_index(row, column);
        const double q = form.value(codes[static_cast<std::size_t>(row) * size.n + column]);
        return (q - zeros[g]) * format.value(scales[g]) + format.value(float_zeros[g]);
    }

    /** [m][n] in double. */
    std::vector<double> expected() const {
        std::vector<double> c(static_cast<std::size_t>(size.m) * size.n);
        std::vector<double> a(activations.size());   // [k][m]: the sums of a column side by side
        for (int m = 0; m < size.m; ++m) {
            for (int k = 0; k < size.k; ++k) {
                a[static_cast<std::size_t>(k) * size.m + m] = format.value(activations[static_cast<std::size_t>(m) * size.k + k]);
            }
        }
        std::vector<double> sums(size.m);
        for (int n = 0; n < size.n; ++n) {
            std::fill(sums.begin(), sums.end(), 0.0);
            for (int k = 0; k < size.k; ++k) {
                const double w = weight(k, n);
                const double* row = &a[static_cast<std::size_t>(k) * size.m];
                for (int m = 0; m < size.m; ++m) sums[m] += row[m] * w;
            }
            for (int m = 0; m < size.m; ++m) c[static_cast<std::size_t>(m) * size.n + n] = sums[m] + bias[n];
        }
        return c;
    }
};

/** The striped form, written element by element. What the layout pads is filled with codes that must not matter. */
struct Packed {
    int strips, k_blocks, scale_rows, group_shift;
    std::vector<u8> codes;
    std::vector<u16> scales;
    std::vector<u16> zeros;
    std::vector<float> factors;
    std::vector<float> bias;

    explicit Packed(const Problem& p) : form(p.form) {
        const Size& s = p.size;
        const int unit = p.form.block_k(), rows_per_block = p.form.rows_per_block();
        strips = ceil_div(s.n, 64);
        k_blocks = ceil_div(s.k, unit);
        const bool one_group = s.groups() == 1 && rows_per_block == 1;
        scale_rows = rows_per_block > 1 ? rows_per_block * k_blocks : one_group ? 1 : ceil_div(k_blocks * unit, s.group);
        group_shift = one_group || rows_per_block > 1 ? 31 : std::ilogb(s.group / unit);

        std::mt19937 random(99);
        block_bytes = p.form.block_bytes();
        codes.resize(static_cast<std::size_t>(strips) * k_blocks * block_bytes);
        for (u8& byte : codes) byte = static_cast<u8>(random());
        if (p.form.sparse) put_stored(p, random);
        else {
            for (int k = 0; k < s.k; ++k) {
                for (int n = 0; n < s.n; ++n) put_code(k, n, p.codes[static_cast<std::size_t>(k) * s.n + n]);
            }
        }

        scales.assign(static_cast<std::size_t>(strips) * scale_rows * 64, 0);
        zeros.assign(scales.size(), 0x8000);
        factors.assign(static_cast<std::size_t>(strips) * 64, 1.f);
        bias.assign(factors.size(), 0.f);
        for (int n = 0; n < s.n; ++n) {
            double largest = 0;
            for (int g = 0; g < s.groups(); ++g) {
                largest = std::max(largest, std::fabs(p.format.value(p.scales[static_cast<std::size_t>(g) * s.n + n])));
            }
            const int high = p.form.number == Number::kInt4 ? n % 2 * 4 : 0;    // columns whose codes are read at bit 4 of a half
            const int unit = p.form.number == Number::kE2m1 ? p.format.float_exponent() : p.format.unit_exponent() - high;
            const int shift = largest == 0 ? unit : p.format.scale_exponent() - 1 - std::ilogb(largest);
            for (int g = 0; g < s.groups(); ++g) {
                const std::size_t from = static_cast<std::size_t>(g) * s.n + n;
                const std::size_t to = (static_cast<std::size_t>(n / 64) * scale_rows + g) * 64 + n % 64;
                scales[to] = static_cast<u16>(p.format.round(std::ldexp(p.format.value(p.scales[from]), shift)));
                zeros[to] = static_cast<u16>(
                    p.form.offset == Offset::kFloatZero ? p.format.round(std::ldexp(p.format.value(p.float_zeros[from]), shift - unit))
                                                        : 0x8000 | p.zeros[from] << high);
            }
            factors[n] = static_cast<float>(std::ldexp(1.0, unit - shift));
            bias[n] = p.bias[n];
        }
    }

private:
    Form form;
    int block_bytes;

    /** Stored row 2 i + which of the i-th four k; places behind the end of k and n must not matter either, but be legal. */
    void put_stored(const Problem& p, std::mt19937& random) {
        const Size& s = p.size;
        for (int quad = 0; quad < k_blocks * 32; ++quad) {
            for (int n = 0; n < strips * 64; ++n) {
                const bool exists = 4 * quad < s.k && n < s.n;
                const u8 two = exists ? p.places[static_cast<std::size_t>(quad) * s.n + n] : Problem::legal_places(random());
                put_places(quad, n, two);
                for (int which = 0; which < 2 && exists; ++which) {
                    const int k = 4 * quad + (two >> 2 * which & 3);
                    if (k < s.k) put_code(2 * quad + which, n, p.codes[static_cast<std::size_t>(k) * s.n + n]);
                }
            }
        }
    }

    /**
     * Metadata as mma.sp.m16n8k32 asks for it: row R of A is column 8 (R % 8) + 2 s + R / 8 of the block in sub-block s, and product j
     * of a sub-block takes k 32 j .. 32 j + 31. A lane's register has row R in half R / 8, a nibble for each four k; lanes 4 (R % 8) + 0
     * and 1 have k 0 .. 15 and 16 .. 31 of the product with selector 0, lanes + 2 and + 3 of that with selector 1. Products 2 i
     * and 2 i + 1 share their registers, so that is selector j % 2. Registers: [s][lane][i] behind the codes.
     */
    void put_places(int quad, int n, u8 two) {
        const int column = n % 64, row = column / 8 + column % 2 * 8, s = column % 8 / 2;
        const int product = quad % 32 / 8, of_product = quad % 8;
        const int lane = row % 8 * 4 + product % 2 * 2 + of_product / 4;
        const int bit = row / 8 * 16 + of_product % 4 * 4;
        const std::size_t block = static_cast<std::size_t>(n / 64) * k_blocks + quad / 32;
        u8& byte = codes[block * block_bytes + 2048 + s * 256 + lane * 8 + product / 2 * 4 + bit / 8];
        byte = static_cast<u8>(bit % 8 ? (byte & 0x0f) | two << 4 : (byte & 0xf0) | two);
    }

    /** Bit for bit as the tables in the layout's description have it: position of (h, k) in a lane's words of step j. */
    void put_code(int k, int n, int code) {
        const int column = n % 64, r = column / 8, s = column % 8 / 2, h = column % 2;
        const int depth = k % 64, j = depth / 16, offset = depth % 16;
        const int t = offset % 8 / 2, p = offset / 8, e = offset % 2;
        const int lane = r * 4 + t;
        const std::size_t block = (static_cast<std::size_t>(n / 64) * k_blocks + k / 64) * block_bytes;
        if (form.number == Number::kInt8) {
            codes[block + s * 1024 + j / 2 * 512 + lane * 16 + j % 2 * 8 + p * 4 + e * 2 + h] = static_cast<u8>(code);
            return;
        }
        static const int kNibble[2][2][4] = {   // [h][upper eight k][bit] of a half
            {{0, 1, 2, 3}, {8, 9, 10, 11}},
            {{4, 5, 6, 7}, {12, 13, 14, 15}}};
        static const int kFloat[2][2][4] = {
            {{0, 1, 2, 13}, {6, 7, 8, 14}},
            {{3, 4, 5, 12}, {9, 10, 11, 15}}};
        for (int i = 0; i < 4; ++i) {
            const int bit = e * 16 + (form.number == Number::kE2m1 ? kFloat : kNibble)[h][p][i];
            u8& byte = codes[block + (s * 32 + lane) * 16 + j * 4 + bit / 8];
            byte = static_cast<u8>((byte & ~(1 << bit % 8)) | (code >> i & 1) << bit % 8);
        }
    }
};

}  // namespace suites
