// An epilogue's steps, and what they make of a product: a second version of epilogue.cuh, in double.
#pragma once

#include <cstring>

#include "problem.hpp"

namespace suites {

enum Step : u32 { kAddResidual = 1, kScaleRows = 2, kSiluMul = 4, kFloatOutput = 8, kSteps = 16 };

struct Epilogue {
    u32 steps = 0;
    bool in_place = false;      // the residual is C
    int ldr_padding = 0;        // elements between the rows of a residual of its own
    bool unaligned = false;     // which starts an element late

    bool has(Step step) const { return (steps & step) != 0; }
    int columns(int n) const { return has(kSiluMul) ? n / 2 : n; }
    int bytes() const { return has(kFloatOutput) ? 4 : 2; }

    /** Every one: 24. */
    static std::vector<Epilogue> all() {
        std::vector<Epilogue> every;
        for (u32 steps = 0; steps < kSteps; ++steps) {
            every.push_back({steps});
            if (steps & kAddResidual) every.push_back({steps, true});
        }
        return every;
    }

    std::string name() const {
        std::string text;
        if (has(kScaleRows)) text += " *rows";
        if (has(kSiluMul)) text += " silu";
        if (has(kAddResidual)) text += in_place ? " +C" : " +R";
        if (has(kAddResidual) && (ldr_padding || unaligned)) text += " ldr+" + std::to_string(ldr_padding) + (unaligned ? " R+1" : "");
        if (has(kFloatOutput)) text += " fp32";
        return text;
    }
};

/** What an epilogue reads besides the sums. */
struct Finish {
    Epilogue epilogue;
    int m, columns;
    Format format;
    std::vector<float> row_factors;   // [m]
    std::vector<double> residual;     // [m][columns], numbers of the output's type

    /** Small numbers that keep exact sums exact: powers of two, eighths. */
    Finish(const Epilogue& e, int m_, int n, Format f, u32 seed) : epilogue(e), m(m_), columns(e.columns(n)), format(f) {
        std::mt19937 random(seed);
        for (int i = 0; i < m; ++i) row_factors.push_back(static_cast<float>(std::ldexp(random() % 2 ? -1 : 1, static_cast<int>(random() % 3) - 1)));
        for (int i = 0; i < m * columns; ++i) residual.push_back((static_cast<int>(random() % 128) - 64) / 8.0);
    }

    /** [m][columns] from sums [m][n] that have no bias yet. */
    std::vector<double> of(const std::vector<double>& sums, const std::vector<float>& bias, int n) const {
        std::vector<double> y(static_cast<std::size_t>(m) * columns);
        for (int i = 0; i < m; ++i) {
            auto x = [&](int j) {
                return sums[static_cast<std::size_t>(i) * n + j] * (epilogue.has(kScaleRows) ? row_factors[i] : 1.f) + bias[j];
            };
            for (int j = 0; j < columns; ++j) {
                double& to = y[static_cast<std::size_t>(i) * columns + j];
                to = epilogue.has(kSiluMul) ? x(2 * j) / (1 + std::exp(-x(2 * j))) * x(2 * j + 1) : x(j);
                if (epilogue.has(kAddResidual)) to += residual[static_cast<std::size_t>(i) * columns + j];
            }
        }
        return y;
    }

    /** Bytes of the residual: rows `stride` elements apart, the first of them `offset` elements late; ones in every bit between. */
    std::vector<u8> residual_bytes(int stride, int offset) const {
        std::vector<u8> bytes((offset + static_cast<std::size_t>(m - 1) * stride + columns) * epilogue.bytes(), 0xff);
        for (int i = 0; i < m; ++i) {
            for (int j = 0; j < columns; ++j) {
                const double value = residual[static_cast<std::size_t>(i) * columns + j];
                const float wide = static_cast<float>(value);
                const u16 narrow = static_cast<u16>(format.round(value));
                u8* to = &bytes[(offset + static_cast<std::size_t>(i) * stride + j) * epilogue.bytes()];
                std::memcpy(to, epilogue.has(kFloatOutput) ? static_cast<const void*>(&wide) : &narrow, epilogue.bytes());
            }
        }
        return bytes;
    }

    /**
     * Whether a stored result is right: the nearest of its type where sums are exact; of silu, whose exponential is rounded too, within
     * one rounding of the type and 2^-18.
     */
    bool right(double is, double want) const {
        const double nearest = epilogue.has(kFloatOutput) ? static_cast<double>(static_cast<float>(want)) : format.value(format.round(want));
        if (!epilogue.has(kSiluMul) || std::isinf(nearest)) return is == nearest;
        const double rounding = epilogue.has(kFloatOutput) ? 0x1p-24 : format.bf16 ? 0x1p-8 : 0x1p-11;
        return std::fabs(is - want) <= std::fabs(want) * (rounding + 0x1p-18) + 0x1p-16;   // of terms up to 2^2, the residual's among them
    }
};

}  // namespace suites
