// What follows from the name of an entry: a second version of striped/shape.cuh and hopper/shape.cuh, and of gemm_args.cuh.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

#include "form.hpp"
#include "machine/machine.hpp"

namespace suites {

using namespace jmarlin;
using namespace jmarlin::machine;

constexpr u32 kMostSharedBytes = 227 * 1024;   // of a block on sm_90

/** {striped|hopper}_{f16|bf16}_{form}_m{rows}_n{columns}, then of hopper _p{neighbours in n}_s{blocks along k}, of striped in halves _h2. */
struct Kernel {
    const Program* program = nullptr;
    std::string name;
    bool hopper, bf16;
    Form form;
    int rows = 0, columns = 0, neighbours = 1, split = 1, halves = 1;

    explicit Kernel(const std::string& entry, const Program* of = nullptr) : program(of), name(entry), form(Form::of(entry)) {
        auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
        hopper = has("hopper_");
        bf16 = has("_bf16");
        const char* tile = std::strstr(name.c_str(), "_m");   // other kernels have no rows
        if (tile) std::sscanf(tile, "_m%d_n%d_p%d_s%d", &rows, &columns, &neighbours, &split);
        if (tile) std::sscanf(tile, "_m%*d_n%*d_h%d", &halves);
    }

    bool stripes() const { return split == 1; }   // the striped schedule
    int cluster() const { return neighbours * split; }
    int threads() const { return hopper ? 384 : 256; }
    // Of the relative Frobenius error, as the README promises it. Zero points stay within what symmetric weights have.
    double bound() const { return bf16 ? 3.5e-3 : form.number == Number::kInt8 || form.offset == Offset::kFloatZero ? 4.5e-4 : 3e-4; }

    // A slot holds `depth` blocks of `columns` / 64 strips, codes and scales, and as deep a piece of `rows` rows of A.
    int depth() const {
        if (!hopper) return 512 / columns / halves;
        if (form.block_bytes() == 2048) return (rows > 32 ? 256 : 512) / columns;
        return (rows > 64 ? 128 : 256) / columns;
    }
    int used_slot_bytes() const {
        return depth() * (columns / 64 * (form.block_bytes() + form.scale_bytes()) + rows * 2 * form.block_k());
    }
    int slot_bytes() const { return hopper ? kilobytes(used_slot_bytes()) : used_slot_bytes(); }

    // Beside the ring: the sums of seven of eight warps (of six, four), in halves what each leader is given by a strip's other warps; or
    // rows of columns + 4 sums on their way to C.
    int staging_bytes() const { return (!stripes() || rows <= 32 ? rows : 16) * (columns + 4) * 4; }
    int before_ring() const {
        if (halves == 2) return columns / 64 * 2 * std::max(2048, (8 / (columns / 64) - 1) * 1024);
        return !hopper ? (8 - columns / 64) * 2048 : stripes() ? kilobytes(staging_bytes()) : 0;
    }
    /** Arrivals of a block at a tile. */
    int parts() const { return hopper ? neighbours : columns / 64 * halves; }

    int least_stages() const { return hopper ? 5 : 2; }
    int most_stages() const {
        if (!hopper) return 8;
        return std::min(12, (static_cast<int>(kMostSharedBytes) - 1280 - before_ring()) / slot_bytes());
    }
    u32 shared_bytes(int stages) const {
        const int ring = before_ring() + stages * slot_bytes();
        return static_cast<u32>(!hopper ? ring : 1280 + std::max(ring, staging_bytes()));
    }
    /** Of these, what a full ring's last byte leaves: up to 256 of the header, and what rounds the last slot up. */
    u32 slack() const { return !hopper ? 0 : static_cast<u32>(256 + slot_bytes() - used_slot_bytes()); }

private:
    static int kilobytes(int bytes) { return (bytes + 1023) / 1024 * 1024; }
};

/** The next product, as far as its first reads depend on it. */
struct Prefetch {
    u64 codes;
    s32 k_blocks, strips, strips_per_tile, m_tiles, units_per_start, starts, units, block_bytes;
};

/** What becomes of a sum besides factor and bias. */
struct EpilogueArgs {
    u64 residual, row_factors;
    s64 ldr;
    u32 steps;   // kAddResidual and so on, see epilogue.hpp
};

struct GemmArgs {
    u64 a, codes, scales, zeros, factors, bias, c, partials, counters;
    Prefetch next;
    s64 lda, ldc;
    s32 m, n, k, k_blocks, scale_rows, group_shift, n_tiles, m_tiles, units_per_block, stages;
    u64 k_blocks_inverse, m_tiles_inverse, units_inverse;
    EpilogueArgs epilogue;

    /** What follows from the other fields. */
    void invert() {
        k_blocks_inverse = ~u64{0} / static_cast<u64>(k_blocks);
        m_tiles_inverse = ~u64{0} / static_cast<u64>(m_tiles);
        units_inverse = units_per_block == 0 ? 0 : ~u64{0} / static_cast<u64>(units_per_block);
    }
};

struct DequantizeArgs {
    u64 codes, scales, zeros, factors, w;
    s64 ldw;
    s32 n, k, k_blocks, scale_rows, group_shift;
};

struct FinishArgs {
    u64 sums, bias, c;
    EpilogueArgs epilogue;
    s64 lds, ldc;
    s32 m, n;
};

struct GatherArgs {
    u64 a, order, gathered;
    s64 lda, ldg;
    s32 m, k;
};

}  // namespace suites
