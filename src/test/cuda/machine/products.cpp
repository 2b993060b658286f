// Matrices in registers (Parallel Thread Execution ISA 9.0, 9.7.14.5: ldmatrix, mma; 9.7.14.6: mma.sp). An element of a product that depends on a value
// that nobody wrote is one itself: that of its row of A or its column of B.
#include "products.hpp"

#include "accesses.hpp"
#include "half.hpp"
#include "lanewise.hpp"
#include "races.hpp"
#include "sparse.hpp"

namespace jmarlin::machine {

namespace {

/** Lane 8i + r names row r (16 bytes) of 8x8 matrix i; lane l receives elements 2(l%4), 2(l%4)+1 of row l/4 of each. */
template <bool kTransposed>
Next load_matrices(Warp& w, const Instruction& i, u32) {
    u32 count = i.opcode->count;
    u32 naming = count == 4 ? kAllLanes : (1u << 8 * count) - 1;
    u64 address[kWarpSize];
    u32 offsets[kWarpSize];
    addresses(w, i, i.operands[count], naming, address);
    shared_offsets(w, i, naming, *w.block, address, 16, offsets);
    if (machine.options.races) race_shared_read(w, naming, offsets, 16, i);
    for (u32 m = 0; m < count; ++m) {
        u16 rows[8][8];
        u32 written[8];
        for (u32 r = 0; r < 8; ++r) {
            u32 offset = offsets[8 * m + r];
            std::memcpy(rows[r], w.block->shared + offset, 16);
            u16 bits;
            std::memcpy(&bits, w.block->written + offset / 8, 2);
            written[r] = bits;
        }
        u32 values[kWarpSize], known = kAllLanes;
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            u32 r = lane / 4, t = 2 * (lane % 4);
            if (kTransposed) {
                values[lane] = rows[t][r] | u32{rows[t + 1][r]} << 16;
                if ((written[t] >> 2 * r & 3) != 3 || (written[t + 1] >> 2 * r & 3) != 3) known &= ~(1u << lane);
            } else {
                std::memcpy(&values[lane], &rows[r][t], 4);
                if ((written[r] >> 2 * t & 15) != 15) known &= ~(1u << lane);
            }
        }
        store_32(w, i.operands[m], kAllLanes, values, known);
    }
    return Next::kGo;
}

/** Of a bit per lane, with the column in lane / 4: the lanes whose column 2 * (lane % 4) + odd is complete. */
u32 lanes_of_columns(u32 written, u32 odd) {
    u32 all = written & written >> 1;
    all &= all >> 2;
    u32 four = 0;
    for (u32 t = 0; t < 4; ++t) four |= (all >> (8 * t + 4 * odd) & 1) << t;
    return four * 0x11111111u;
}

/**
 * D = A * B + C for the fragments of m16n8k16 and, with 2:4 sparsity, of m16n8k32, whose A stores 16 k. With r = l / 4 and t = l % 4, lane l holds
 *   a0: A[r][2t, 2t+1]      a1: A[r+8][2t, 2t+1]      a2: A[r][2t+8, 2t+9]      a3: A[r+8][2t+8, 2t+9]
 *   b0: B[2t, 2t+1][r]      b1: B[2t+8, 2t+9][r]      and so on
 *   d0, d1: D[r][2t, 2t+1]  d2, d3: D[r+8][2t, 2t+1]
 */
template <bool kHalf, bool kSparse>
Next mma(Warp& w, const Instruction& i, u32) {
    constexpr u32 kRegistersOfB = kSparse ? 4 : 2;
    const Operand *d_at = i.operands, *a_at = d_at + 4, *b_at = a_at + 4, *c_at = b_at + kRegistersOfB;
    float a[16][16], b[8 * kRegistersOfB][8], d[16][8];
    for (u32 n = 0; n < 4; ++n) {
        const u32 *from = source_32(w, a_at[n]), *c = source_32(w, c_at[n]);
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            float* at = &a[lane / 4 + 8 * (n % 2)][2 * (lane % 4) + 8 * (n / 2)];
            at[0] = kHalf ? half_to_float(from[lane] & 0xffff) : bfloat16_to_float(from[lane] & 0xffff);
            at[1] = kHalf ? half_to_float(from[lane] >> 16) : bfloat16_to_float(from[lane] >> 16);
            d[lane / 4 + 8 * (n / 2)][2 * (lane % 4) + n % 2] = bits_float(c[lane]);
        }
    }
    u32 columns = kAllLanes;
    for (u32 n = 0; n < kRegistersOfB; ++n) {
        const u32* from = source_32(w, b_at[n]);
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            u32 k = 2 * (lane % 4) + 8 * n, column = lane / 4;
            b[k][column] = kHalf ? half_to_float(from[lane] & 0xffff) : bfloat16_to_float(from[lane] & 0xffff);
            b[k + 1][column] = kHalf ? half_to_float(from[lane] >> 16) : bfloat16_to_float(from[lane] >> 16);
        }
        columns &= written_32(w, b_at[n]);
    }
    if constexpr (kSparse) multiply_add_sparse(&d[0][0], 8, a, read_places(w, i, c_at[4], c_at[5]), &b[0][0]);
    else multiply_add(&d[0][0], 8, a, &b[0][0]);
    u32 known[4];
    for (u32 n = 0; n < 4; ++n)
        known[n] = lanes_of_columns(columns, n % 2) & whole_rows(written_32(w, a_at[n / 2]) & written_32(w, a_at[2 + n / 2])) & written_32(w, c_at[n]);
    for (u32 n = 0; n < 4; ++n) {
        u32 values[kWarpSize];
        for (u32 lane = 0; lane < kWarpSize; ++lane) values[lane] = float_bits(d[lane / 4 + 8 * (n / 2)][2 * (lane % 4) + n % 2]);
        store_32(w, d_at[n], kAllLanes, values, known[n]);
    }
    return Next::kGo;
}

template <u32 kColumns>
void multiply_add_fixed(float* d, const float (&a)[16][16], const float* b) {
    typedef float Row __attribute__((vector_size(kColumns * 4), aligned(4), may_alias));
    for (u32 row = 0; row < 16; ++row) {
        Row sum = *reinterpret_cast<Row*>(d + row * kColumns);
        for (u32 k = 0; k < 16; ++k) sum += a[row][k] * *reinterpret_cast<const Row*>(b + k * kColumns);
        *reinterpret_cast<Row*>(d + row * kColumns) = sum;
    }
}

}  // namespace

void multiply_add(float* d, u32 columns, const float (&a)[16][16], const float* b) {
    switch (columns) {
        case 8: return multiply_add_fixed<8>(d, a, b);
        case 16: return multiply_add_fixed<16>(d, a, b);
        default: break;
    }
    typedef float Row __attribute__((vector_size(64), aligned(4), may_alias));
    for (u32 row = 0; row < 16; ++row)
        for (u32 first = 0; first < columns; first += 16) {
            Row sum;
            if (columns - first < 16) {
                for (u32 c = first; c < columns; ++c)
                    for (u32 k = 0; k < 16; ++k) d[row * columns + c] += a[row][k] * b[k * columns + c];
                continue;
            }
            sum = *reinterpret_cast<Row*>(d + row * columns + first);
            for (u32 k = 0; k < 16; ++k) sum += a[row][k] * *reinterpret_cast<const Row*>(b + k * columns + first);
            *reinterpret_cast<Row*>(d + row * columns + first) = sum;
        }
}

void add_products(OpcodeTable& table) {
    const std::pair<u8, const char*> counts[] = {{1, "(R)a"}, {2, "(RR)a"}, {4, "(RRRR)a"}};
    for (auto& count : counts)
        for (const char* space : {"shared", "shared::cta"})
            for (bool transposed : {false, true}) {
                Opcode opcode = aligned(count.second, transposed ? load_matrices<true> : load_matrices<false>);
                opcode.space = Space::kShared;
                opcode.bytes = 16;
                opcode.count = count.first;
                std::string name = "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count.first) + (transposed ? ".trans." : ".") + space + ".b16";
                table.emplace(name, opcode);
                if (count.first == 1) opcode.signature = "Ra", table.emplace(name, opcode);
            }
    table.emplace("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", aligned("(RRRR)(rrrr)(rr)(rrrr)", mma<true, false>));
    table.emplace("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", aligned("(RRRR)(rrrr)(rr)(rrrr)", mma<false, false>));
    std::string sparse = "mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.";
    table.emplace(sparse + "f16.f16.f32", aligned("(RRRR)(rrrr)(rrrr)(rrrr)ri", mma<true, true>));
    table.emplace(sparse + "bf16.bf16.f32", aligned("(RRRR)(rrrr)(rrrr)(rrrr)ri", mma<false, true>));
}

}  // namespace jmarlin::machine
