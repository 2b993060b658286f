// Warpgroup products (Parallel Thread Execution ISA 9.0, 9.7.15). Each warp of a warpgroup computes its own 16 rows, so each keeps its
// own queue; what the four must have in common, the instruction and its descriptor, is compared.
//
// A product is carried out as late as it may be: at the wait that guarantees it; with the random schedule also earlier. Until
// that wait its accumulators may not be touched, its A registers not written, and its B tile is read whenever it likes.
#include "half.hpp"
#include "lanewise.hpp"
#include "products.hpp"
#include "races.hpp"
#include "sparse.hpp"

namespace jmarlin::machine {

namespace {

constexpr u32 kWarpgroup = 4;
enum Busy : u8 { kOperand = 1, kSum = 2 };

/** What a warpgroup's products were, in the order in which a warp issued them. */
struct Issued {
    const Instruction* at;
    u64 descriptor;
};
std::vector<std::vector<Issued>> issued;   // by warpgroup of the grid
std::vector<u32> issued_by;                // by warp of the grid

Next issue(Warp& w, const Instruction& i, u32 lanes);

Next fence(Warp& w, const Instruction&, u32) {
    w.fenced = true;
    return Next::kGo;
}

enum Detail : u32 { kHalf = 1, kSparse = 2 };
bool is_half(const Instruction& i) { return i.opcode->detail & kHalf; }
bool is_sparse(const Instruction& i) { return i.opcode->detail & kSparse; }

/** Operands: the accumulators, four registers of A, descriptor, (of a sparse one) metadata and selector, scale-d and three constants. */
u32 accumulators(const Instruction& i) { return i.count - (is_sparse(i) ? 11u : 9u); }

/** The registers that are its own until it is over: the accumulators, A, and metadata, which comes behind the descriptor. */
u32 registers(const Instruction& i) { return accumulators(i) + (is_sparse(i) ? 5 : 4); }
const Operand& register_of(const Instruction& i, u32 n) { return i.operands[n < accumulators(i) + 4 ? n : n + 1]; }

// The matrix descriptor (9.7.15.5.1): a K-major tile in the 128-byte swizzle, at a multiple of 1024 bytes or a step of 32 into its rows.
bool fits(u64 descriptor) {
    return descriptor >> 62 == 1 && (descriptor >> 52 & 0x3ff) == 0 && (descriptor >> 49 & 7) == 0 && (descriptor >> 46 & 7) == 0 &&
           (descriptor >> 32 & 0x3fff) == 64 && (descriptor >> 30 & 3) == 0 && (descriptor >> 16 & 0x3fff) == 1 && (descriptor >> 14 & 3) == 0;
}

/** Where 16 bytes of a row of the tile lie: address bits 4 to 6 are swizzled with bits 7 to 9. */
u32 described_address(u64 descriptor, u32 row, u32 chunk) {
    u32 start = static_cast<u32>(descriptor & 0x3fff) << 4;
    u32 stride = static_cast<u32>(descriptor >> 32 & 0x3fff) << 4;
    u32 address = start + row / 8 * stride + row % 8 * 128 + chunk * 16;
    return address ^ (address >> 7 & 7) << 4;
}

void mark_busy(Warp& w) {
    std::fill(w.busy.begin(), w.busy.end(), 0);
    for (const Product& p : w.products) {
        for (u32 n = 0; n < registers(*p.at); ++n)
            if (register_of(*p.at, n).index >= 0) w.busy[static_cast<u32>(register_of(*p.at, n).index)] |= n < accumulators(*p.at) ? kSum : kOperand;
    }
}

/** 9.7.15.7.1: no register of a product is written between wgmma.fence and it. Looks back over straight code. */
void check_written_since_fence(const Warp& w, const Instruction& i) {
    if (machine.checked[machine.code->index(i)]) return;
    machine.checked[machine.code->index(i)] = true;
    for (const Instruction* before = &i; before-- != machine.instructions;) {
        if (before->run == fence || !before->opcode->signature.compare("L") || before->opcode->name == "ret") return;
        if (before->run == issue) continue;
        for (u32 n = 0; n < before->count; ++n)
            for (u32 m = 0; m < registers(i) && before->operands[n].kind == 'R'; ++m)
                if (register_of(i, m).index == before->operands[n].index)
                    return report(ErrorKind::kWgmma, w, 0, i, before, "takes a register that was written after wgmma.fence, at " + at_text(*before));
    }
}

Next issue(Warp& w, const Instruction& i, u32 lanes) {
    u32 count = accumulators(i);
    const Operand *o = i.operands + count, *scale = i.operands + i.count - 4;   // A, descriptor; scale-d, scale-a, scale-b, transposed
    u64 descriptor = uniform_64(w, i, o[4], lanes);
    if (!w.fenced) report(ErrorKind::kWgmma, w, 0, i, nullptr, "begins a group with no wgmma.fence before it");
    if (!fits(descriptor))
        fail(ErrorKind::kWgmma, w, 0, i, "descriptor " + hex(descriptor) + " is not of a K-major tile in the 128-byte swizzle with 1024 bytes between groups of 8 rows");
    if (scale[1].offset != 1 || scale[2].offset != 1 || scale[3].offset != 0)
        fail(ErrorKind::kWgmma, w, 0, i, "negated or transposed operands are not known here");
    check_written_since_fence(w, i);
    std::vector<Issued>& log = issued[w.global_index / kWarpgroup];
    u32& number = issued_by[w.global_index];
    if (number == log.size()) log.push_back({&i, descriptor});
    if (log[number].at != &i || log[number].descriptor != descriptor)
        fail(ErrorKind::kWgmma, w, 0, i, "descriptor " + hex(descriptor) + ": another warp of the warpgroup issued " + at_text(*log[number].at) + " with " +
             hex(log[number].descriptor));
    ++number;

    // Accumulators may be in use only by products into the very same ones.
    for (const Product& p : w.products)
        for (u32 n = 0; n < count; ++n)
            if ((w.busy[static_cast<u32>(i.operands[n].index)] & kSum) && (accumulators(*p.at) != count || p.at->operands[n].index != i.operands[n].index)) {
                bool shared = false;
                for (u32 m = 0; m < accumulators(*p.at); ++m) shared = shared || p.at->operands[m].index == i.operands[n].index;
                if (shared) report(ErrorKind::kWgmma, w, 0, i, p.at, "its accumulators overlap those of " + at_text(*p.at) + ", which is under way");
            }

    w.products.emplace_back();
    Product& p = w.products.back();
    p.at = &i;
    p.descriptor = descriptor;
    p.group = w.product_groups;
    p.done = false;
    for (u32 n = 0; n < 4; ++n) {
        std::memcpy(p.a[n], source_32(w, o[n]), sizeof p.a[n]);
        p.a_written[n] = written_32(w, o[n]);
    }
    if (is_sparse(i)) p.places = read_places(w, i, o[5], o[6]);
    p.scale_d = source_p(w, scale[0]) == kAllLanes;
    if (source_p(w, scale[0]) != 0 && !p.scale_d) fail(ErrorKind::kDivergence, w, 0, i, "lanes differ in scale-d");
    mark_busy(w);
    return Next::kGo;
}

/** The tile that the descriptor names: b[k][column], and a bit per column that is complete. */
void read_tile(const Warp& w, const Product& p, u32 columns, float* b, u8* complete) {
    bool half = is_half(*p.at);
    bool checks = machine.options.races && w.index % kWarpgroup == 0;   // the four warps read the same tile: one stands for all
    for (u32 column = 0; column < columns; ++column) {
        complete[column] = 1;
        for (u32 chunk = 0; chunk < (is_sparse(*p.at) ? 4 : 2); ++chunk) {
            u32 offset = described_address(p.descriptor, column, chunk) - kSharedBase;
            if (offset > machine.shared_bytes || 16 > machine.shared_bytes - offset)
                fail(ErrorKind::kOutOfBounds, w, 0, *p.at, "row " + std::to_string(column) + " of its tile lies at shared memory byte " + std::to_string(offset));
            if (checks) {
                race_product_read(w, offset, 16, *p.at);
                check_proxy(*w.block, offset, 16, *p.at);
            }
            u16 bits[8], written;
            std::memcpy(bits, w.block->shared + offset, 16);
            std::memcpy(&written, w.block->written + offset / 8, 2);
            if (written != 0xffff) complete[column] = 0;
            for (u32 k = 0; k < 8; ++k) b[(8 * chunk + k) * columns + column] = half ? half_to_float(bits[k]) : bfloat16_to_float(bits[k]);
        }
    }
}

/** D += A * B; with r = l / 4, t = l % 4: d[4j + 2h + p] is row r + 8h, column 8j + 2t + p. */
void carry_out(Warp& w, Product& p) {
    p.done = true;
    u32 count = accumulators(*p.at), columns = count * 2;
    static float d[16 * 256], b[32 * 256];
    static u8 complete[256];
    float a[16][16];
    bool half = is_half(*p.at);
    for (u32 n = 0; n < 4; ++n)
        for (u32 lane = 0; lane < kWarpSize; ++lane) {
            float* at = &a[lane / 4 + 8 * (n % 2)][2 * (lane % 4) + 8 * (n / 2)];
            u32 bits = p.a[n][lane];
            at[0] = half ? half_to_float(bits & 0xffff) : bfloat16_to_float(bits & 0xffff);
            at[1] = half ? half_to_float(bits >> 16) : bfloat16_to_float(bits >> 16);
        }
    read_tile(w, p, columns, b, complete);
    auto element = [&](u32 n, u32 lane) -> float& { return d[(lane / 4 + 8 * (n / 2 % 2)) * columns + n / 4 * 8 + 2 * (lane % 4) + n % 2]; };
    for (u32 n = 0; n < count; ++n) {
        const u32* from = w.r32 + static_cast<u32>(p.at->operands[n].index) * kWarpSize;
        for (u32 lane = 0; lane < kWarpSize; ++lane) element(n, lane) = p.scale_d ? bits_float(from[lane]) : 0.0f;
    }
    if (is_sparse(*p.at)) multiply_add_sparse(d, columns, a, p.places, b);
    else multiply_add(d, columns, a, b);
    u32 rows[2] = {whole_rows(p.a_written[0] & p.a_written[2]), whole_rows(p.a_written[1] & p.a_written[3])};
    for (u32 n = 0; n < count; ++n) {
        u32 index = static_cast<u32>(p.at->operands[n].index);
        u32* to = w.r32 + index * kWarpSize;
        for (u32 lane = 0; lane < kWarpSize; ++lane) to[lane] = float_bits(element(n, lane));
        u32 four = 0;
        for (u32 t = 0; t < 4; ++t) four |= u32{complete[n / 4 * 8 + 2 * t + n % 2]} << t;
        w.written_32[index] = (p.scale_d ? w.written_32[index] : kAllLanes) & rows[n / 2 % 2] & four * 0x11111111u;
    }
}

Next commit(Warp& w, const Instruction&, u32) {
    ++w.product_groups;
    w.fenced = false;
    return Next::kGo;
}

Next wait(Warp& w, const Instruction& i, u32) {
    u32 pending = static_cast<u32>(i.operands[0].offset);
    bool any = false;
    while (!w.products.empty() && w.products.front().group + pending < w.product_groups) {
        if (!w.products.front().done) carry_out(w, w.products.front());
        w.products.pop_front();
        any = true;
    }
    if (!any) return Next::kGo;
    mark_busy(w);
    if (machine.options.races) learn_products(w);
    return Next::kGo;
}

}  // namespace

void begin_products() {
    issued.assign(machine.grid * machine.warps_per_block / kWarpgroup + 1, {});
    issued_by.assign(machine.grid * machine.warps_per_block, 0);
}

void check_busy_registers(const Warp& w, const Instruction& at, u32 lanes) {
    if (at.run == issue) return;   // compares its accumulators itself
    for (u32 n = 0; n < at.count; ++n) {
        const Operand& o = at.operands[n];
        if ((o.kind != 'R' && o.kind != 'r' && o.kind != 'a') || o.index < 0) continue;
        u8 busy = w.busy[static_cast<u32>(o.index)];
        if (busy == 0 || (o.kind != 'R' && busy == kOperand)) continue;
        for (const Product& p : w.products)
            for (u32 m = 0; m < registers(*p.at); ++m)
                if (register_of(*p.at, m).index == o.index && (m < accumulators(*p.at) || o.kind == 'R')) {
                    report(ErrorKind::kWgmma, w, first_lane(lanes), at, p.at, std::string(o.kind == 'R' ? "writes" : "reads") + " a register of " + at_text(*p.at) +
                           ", which is under way");
                    return;
                }
    }
}

void check_products_at_exit(Warp& w) {
    if (!w.products.empty()) report(ErrorKind::kWgmma, w, 0, *w.products.front().at, nullptr, "the warp exits while it is under way");
    w.products.clear();
}

bool carry_out_a_product() {
    for (u32 tries = 0; tries < 4; ++tries) {
        Block& block = machine.blocks[random_below(machine.grid)];
        Warp& w = block.warps[random_below(machine.warps_per_block)];
        for (Product& p : w.products) {
            if (p.done) continue;
            carry_out(w, p);
            return true;
        }
    }
    return false;
}

void add_wgmma(OpcodeTable& table) {
    table.emplace("wgmma.fence.sync.aligned", aligned("", fence));
    table.emplace("wgmma.commit_group.sync.aligned", aligned("", commit));
    table.emplace("wgmma.wait_group.sync.aligned", aligned("i", wait));
    for (u32 n = 8; n <= 256; n += 8)
        for (bool half : {true, false}) {
            std::string type = half ? "f16" : "bf16";
            table.emplace("wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k16.f32." + type + "." + type,
                          aligned(("(" + std::string(n / 2, 'R') + ")(rrrr)dpiii").c_str(), issue, half ? kHalf : 0));
            table.emplace("wgmma.mma_async.sp.sync.aligned.m64n" + std::to_string(n) + "k32.f32." + type + "." + type,
                          aligned(("(" + std::string(n / 2, 'R') + ")(rrrr)dripiii").c_str(), issue, (half ? kHalf : 0) | kSparse));
        }
}

}  // namespace jmarlin::machine
