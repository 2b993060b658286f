// What a weight is, as an entry's name says it: a second version of forms.cuh.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace suites {

enum class Number { kInt4, kInt8, kE2m1 };
enum class Offset { kMiddle, kZeroPoint, kFloatZero };   // s (q - half of the codes) or s q of a float; s (q - z); s q + z

/** A code, an offset, and how many rows share a scale: {tag}_g{rows}, of which 64 (sp24: 128) also stands for more rows. */
struct Form {
    Number number;
    Offset offset;
    bool sparse;       // two of every four k are stored
    int least_group;   // of the name

    /** Of a kernel {family}_{type}_{tag}_g{rows}...; any other kernel is as if it had int4 weights. */
    static Form of(const std::string& kernel) {
        struct Tag { const char* name; Number number; Offset offset; bool sparse; };
        static const Tag kTags[] = {{"_sym_", Number::kInt4, Offset::kMiddle, false},
                                    {"_zp_", Number::kInt4, Offset::kZeroPoint, false},
                                    {"_fz_", Number::kInt4, Offset::kFloatZero, false},
                                    {"_sp24_", Number::kInt4, Offset::kMiddle, true},
                                    {"_i8_", Number::kInt8, Offset::kMiddle, false},
                                    {"_i8zp_", Number::kInt8, Offset::kZeroPoint, false},
                                    {"_i8fz_", Number::kInt8, Offset::kFloatZero, false},
                                    {"_fp4_", Number::kE2m1, Offset::kMiddle, false}};
        const std::size_t group = kernel.find("_g");
        const int rows = group == std::string::npos ? 0 : std::atoi(kernel.c_str() + group + 2);
        for (const Tag& tag : kTags) {
            if (kernel.find(tag.name) != std::string::npos) return {tag.number, tag.offset, tag.sparse, rows == 0 ? 64 : rows};
        }
        return {Number::kInt4, Offset::kMiddle, false, 64};
    }

    bool has_offsets() const { return offset != Offset::kMiddle; }               // 16 bits for each group and column, like scales
    int codes() const { return number == Number::kInt8 ? 256 : 16; }
    int middle() const { return number == Number::kE2m1 ? 0 : codes() / 2; }
    int block_k() const { return sparse ? 128 : 64; }
    int code_bytes() const { return number == Number::kInt8 ? 4096 : 2048; }         // of the 64 x 64 stored codes of a block
    int block_bytes() const { return code_bytes() + (sparse ? 1024 : 0); }       // with the places of the stored weights
    int rows_per_block() const { return std::max(1, block_k() / least_group); }  // of scales
    int scale_bytes() const { return 128 * rows_per_block() * (has_offsets() ? 2 : 1); } // of a block

    /** The groups that this instance can have, nearest to the wanted ones: its own if a block has several, else any that is not smaller. */
    int group(int wanted) const { return rows_per_block() > 1 ? least_group : wanted < 0 ? wanted : std::max(wanted, least_group); }

    /** What a code stands for, before offset and scale: e2m1 has a sign, two bits of exponent with bias 1, one of mantissa. */
    double value(int q) const {
        if (number != Number::kE2m1) return q;
        static const double kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
        return q & 8 ? -kMagnitudes[q & 7] : kMagnitudes[q & 7];
    }
};

}  // namespace suites
