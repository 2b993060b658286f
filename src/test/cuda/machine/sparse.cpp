#include "sparse.hpp"

namespace jmarlin::machine {

Places read_places(Warp& w, const Instruction& i, const Operand& metadata, const Operand& selector) {
    if (selector.offset != 0 && selector.offset != 1)
        fail(ErrorKind::kBadArgument, w, 0, i, "sparsity selector " + std::to_string(selector.offset) + ", 0 or 1 expected");
    u32 first = 2 * static_cast<u32>(selector.offset);
    need_written(w, i, (3u << first) * 0x11111111u, written_32(w, metadata), "metadata");
    const u32* words = source_32(w, metadata);
    Places places;
    for (u32 row = 0; row < 16; ++row)
        for (u32 quad = 0; quad < 8; ++quad) {
            u32 lane = row % 8 * 4 + first + quad / 4, nibble = words[lane] >> (row / 8 * 16 + quad % 4 * 4) & 15, one = nibble & 3, two = nibble >> 2;
            if (one >= two)
                report(ErrorKind::kMetadata, w, lane, i, nullptr, hex(words[lane]) + ": nibble " + hex(nibble) + " of row " + std::to_string(row) + ", k " +
                       std::to_string(4 * quad) + " names " + std::to_string(one) + " and then " + std::to_string(two));
            places.k[row][2 * quad] = static_cast<u8>(4 * quad + one);
            places.k[row][2 * quad + 1] = static_cast<u8>(4 * quad + two);
        }
    return places;
}

void multiply_add_sparse(float* d, u32 columns, const float (&a)[16][16], const Places& places, const float* b) {
    for (u32 row = 0; row < 16; ++row)
        for (u32 stored = 0; stored < 16; ++stored) {
            const float* from = b + places.k[row][stored] * columns;
            for (u32 column = 0; column < columns; ++column) d[row * columns + column] += a[row][stored] * from[column];
        }
}

}  // namespace jmarlin::machine
