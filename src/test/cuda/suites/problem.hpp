// A product C = A * W + bias: its data, the packed weights by a second, slow implementation of the layout, and what must come out.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "format.hpp"

namespace suites {

inline int ceil_div(int x, int y) { return (x + y - 1) / y; }

struct Size {
    int m, n, k;
    int group;   // 32, 64, 128, 256 or -1: one group per column

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
    bool has_zeros;
    bool has_bias;
    std::vector<u8> codes;        // [k][n]
    std::vector<u16> scales;      // [groups][n], bits
    std::vector<u8> zeros;        // [groups][n], 0 to 16; 8 if symmetric
    std::vector<float> bias;      // [n]
    std::vector<u16> activations; // [m][k], bits

    Problem(Size s, Format f, bool zeros_too, bool bias_too, Values values, u32 seed)
        : size(s), format(f), has_zeros(zeros_too), has_bias(bias_too) {
        std::mt19937 random(seed);
        auto integer = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
        std::normal_distribution<double> gauss;
        const bool exact = values == Values::kExact;

        codes.resize(static_cast<std::size_t>(s.k) * s.n);
        for (u8& q : codes) q = static_cast<u8>(integer(0, 15));

        scales.resize(static_cast<std::size_t>(s.groups()) * s.n);
        zeros.resize(scales.size());
        for (std::size_t i = 0; i < scales.size(); ++i) {
            const double scale = exact ? std::ldexp(integer(0, 1) ? 3 : 1, -2 - integer(0, 2))
                                       : 0.01 * (0.5 + integer(0, 1000) / 1000.0);
            scales[i] = static_cast<u16>(f.round(integer(0, 7) == 0 ? -scale : scale));
            zeros[i] = static_cast<u8>(zeros_too ? integer(0, 16) : 8);
        }
        for (int g = 0; g < s.groups(); ++g) scales[static_cast<std::size_t>(g) * s.n + s.n / 2] = 0;  // a column of zeros

        bias.resize(s.n);
        for (float& b : bias) b = bias_too ? static_cast<float>(exact ? integer(-64, 64) / 8.0 : gauss(random)) : 0.f;

        activations.resize(static_cast<std::size_t>(s.m) * s.k);
        for (u16& a : activations) a = static_cast<u16>(f.round(exact ? integer(-3, 3) : gauss(random)));
    }

    std::size_t group_index(int row, int column) const {
        return static_cast<std::size_t>(row / size.rows_per_group()) * size.n + column;
    }

    double weight(int row, int column) const {
        const std::size_t g = group_index(row, column);
        return (codes[static_cast<std::size_t>(row) * size.n + column] - zeros[g]) * format.value(scales[g]);
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

    explicit Packed(const Problem& p) {
        const Size& s = p.size;
        strips = ceil_div(s.n, 64);
        k_blocks = ceil_div(s.k, 64);
        const bool one_group = s.groups() == 1 && s.group != 32;
        scale_rows = s.group == 32 ? 2 * k_blocks : one_group ? 1 : ceil_div(k_blocks * 64, s.group);
        group_shift = one_group || s.group == 32 ? 31 : s.group == 64 ? 0 : s.group == 128 ? 1 : 2;

        std::mt19937 random(99);
        codes.resize(static_cast<std::size_t>(strips) * k_blocks * 2048);
        for (u8& byte : codes) byte = static_cast<u8>(random());
        for (int k = 0; k < s.k; ++k) {
            for (int n = 0; n < s.n; ++n) put_code(k, n, p.codes[static_cast<std::size_t>(k) * s.n + n]);
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
            const int unit = p.format.unit_exponent() - n % 2 * 4;
            const int shift = largest == 0 ? unit : p.format.scale_exponent() - 1 - std::ilogb(largest);
            for (int g = 0; g < s.groups(); ++g) {
                const std::size_t from = static_cast<std::size_t>(g) * s.n + n;
                const std::size_t to = (static_cast<std::size_t>(n / 64) * scale_rows + g) * 64 + n % 64;
                scales[to] = static_cast<u16>(p.format.round(std::ldexp(p.format.value(p.scales[from]), shift)));
                zeros[to] = static_cast<u16>(0x8000 | p.zeros[from] << (n % 2 * 4));
            }
            factors[n] = static_cast<float>(std::ldexp(1.0, unit - shift));
            bias[n] = p.bias[n];
        }
    }

private:
    /** Nibble for nibble as the table in the layout's description has it: position of (h, k) in a word of lane t. */
    void put_code(int k, int n, int code) {
        const int column = n % 64, r = column / 8, s = column % 8 / 2, h = column % 2;
        const int depth = k % 64, j = depth / 16, offset = depth % 16;
        const int t = offset % 8 / 2;
        static const int kNibble[2][2][2] = {   // [h][upper eight k][odd k]
            {{0, 4}, {2, 6}},
            {{1, 5}, {3, 7}}};
        const int nibble = kNibble[h][offset / 8][offset % 2];
        const std::size_t block = static_cast<std::size_t>(n / 64) * k_blocks + k / 64;
        const std::size_t byte = ((block * 4 + s) * 32 + r * 4 + t) * 16 + j * 4 + nibble / 2;
        codes[byte] = static_cast<u8>(nibble % 2 ? (codes[byte] & 0x0f) | code << 4 : (codes[byte] & 0xf0) | code);
    }
};

}  // namespace suites
