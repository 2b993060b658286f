// What a weight is, as an entry's name says it: a second version of forms.cuh.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace suites {

/** A code, an offset, and how many rows share a scale: {sym|zp|sp24}_g{rows}, of which 64 (sp24: 128) also stands for more rows. */
struct Form {
    bool zeros;        // a zero code for each group and column
    bool sparse;       // two of every four k are stored
    int least_group;   // of the name

    /** Of a kernel {family}_{type}_{tag}_g{rows}...; any other kernel is as if it had int4 weights. */
    static Form of(const std::string& kernel) {
        auto has = [&](const char* tag) { return kernel.find(tag) != std::string::npos; };
        const std::size_t group = kernel.find("_g");
        const int rows = group == std::string::npos ? 0 : std::atoi(kernel.c_str() + group + 2);
        return {has("_zp_"), has("_sp24_"), rows == 0 ? 64 : rows};
    }

    int block_k() const { return sparse ? 128 : 64; }
    int code_bytes() const { return 2048; }                                      // of the 64 x 64 stored codes of a block
    int block_bytes() const { return code_bytes() + (sparse ? 1024 : 0); }      // with the places of the stored weights
    int rows_per_block() const { return std::max(1, block_k() / least_group); }  // of scales
    int scale_bytes() const { return 128 * rows_per_block() * (zeros ? 2 : 1); } // of a block

    /** The groups that this instance can have, nearest to the wanted ones: its own if a block has several, else any that is not smaller. */
    int group(int wanted) const { return rows_per_block() > 1 ? least_group : wanted < 0 ? wanted : std::max(wanted, least_group); }
};

}  // namespace suites
