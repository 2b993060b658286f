// Warpgroup matrix products. Each warp of a warpgroup computes its own 16 rows, so each keeps its own queue; what the
// four must have in common, the descriptors, is compared.
//
// A product is carried out as late as it may be: at the wait that guarantees it. Until then its accumulators hold NaN, the
// B tile may still be overwritten (and is then read wrongly), and the A registers must stay as they were at issue.
#include <cstring>

#include "counters.hpp"
#include "half.hpp"
#include "memory.hpp"
#include "races_sm90.hpp"
#include "sm90.hpp"

namespace jmarlin::emulator {

namespace {

constexpr u32 kPoison = 0xffffffffu;
constexpr u32 kWarpgroup = 4;

/** The accumulators of a warp while products into them are in flight. */
struct Sum {
    float* at[kWarpSize];
    u32 count;                    // per lane
    u32 in_flight = 0;            // products
    std::vector<float> values;    // [lane][count]
};

struct Product {
    u32 sum;                      // index into sums
    const u32* a[kWarpSize];
    u32 a_at_issue[kWarpSize][4];
    u64 descriptor;
    bool half;
    Site site;
};

struct Queue {
    bool fenced = false;
    std::vector<Sum> sums;
    std::vector<Product> products;    // oldest first
    std::vector<u32> groups;          // products of the committed groups, oldest first
    u32 open = 0;                     // products since the last commit
    u32 issued = 0;                   // products of the whole launch
};

std::vector<Queue> queues;                       // by warp of the grid
std::vector<std::vector<u64>> descriptors;       // by warpgroup of the grid: every product's

bool fits(u64 descriptor) {
    return descriptor >> 62 == 1 && (descriptor >> 49 & 7) == 0 && (descriptor >> 32 & 0x3fff) == 64;
}

u32 find_sum(Queue& queue, Warp& warp, u32 count) {
    float* first = static_cast<float*>(warp.lanes[0].post.result);
    for (u32 i = 0; i < queue.sums.size(); ++i) {
        Sum& sum = queue.sums[i];
        if (sum.in_flight == 0 || sum.at[0] + sum.count <= first || first + count <= sum.at[0]) continue;
        if (sum.at[0] != first || sum.count != count)
            fail(ErrorKind::kWgmma, "wgmma at " + site_text(warp.site) + ": its accumulators overlap others in flight");
        return i;
    }
    u32 free = 0;
    while (free < queue.sums.size() && queue.sums[free].in_flight != 0) ++free;
    if (free == queue.sums.size()) queue.sums.emplace_back();
    Sum& sum = queue.sums[free];
    sum.count = count;
    sum.values.resize(kWarpSize * count);
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        sum.at[lane] = static_cast<float*>(warp.lanes[lane].post.result);
        std::memcpy(&sum.values[lane * count], sum.at[lane], count * 4);
        std::memset(sum.at[lane], 0xff, count * 4);
    }
    return free;
}

template <bool kHalf, u32 kCount>
void perform_wgmma(Warp& warp) {
    Queue& queue = queues[warp.global_index];
    const Post& post = warp.lanes[0].post;
    u64 descriptor = u64{post.other} << 32 | post.value;
    if (!queue.fenced)
        report(ErrorKind::kWgmma, "wgmma at " + site_text(warp.site) + " (" + thread_text(warp.lanes[0]) +
               ") begins a group with no wgmma_fence before it");
    if (!fits(descriptor))
        fail(ErrorKind::kWgmma, "wgmma at " + site_text(warp.site) + ": descriptor " + std::to_string(descriptor) +
             " is not of a K-major tile in the 128-byte swizzle with 1024 bytes between groups of 8 rows");
    std::vector<u64>& log = descriptors[warp.global_index / kWarpgroup];
    if (queue.issued == log.size()) log.push_back(descriptor);
    if (log[queue.issued++] != descriptor)
        fail(ErrorKind::kWgmma, "wgmma at " + site_text(warp.site) + ": the warps of the warpgroup describe different tiles");

    Product product;
    product.sum = find_sum(queue, warp, kCount);
    product.descriptor = descriptor;
    product.half = kHalf;
    product.site = warp.site;
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        const Post& each = warp.lanes[lane].post;
        if (each.value != post.value || each.other != post.other)
            fail(ErrorKind::kDivergence, "wgmma at " + site_text(warp.site) + ": the lanes describe different tiles");
        product.a[lane] = static_cast<const u32*>(each.a);
        std::memcpy(product.a_at_issue[lane], each.a, 16);
    }
    ++queue.sums[product.sum].in_flight;
    queue.products.push_back(product);
    ++queue.open;
}

void check_registers(const Warp& warp, const Product& product) {
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        if (std::memcmp(product.a[lane], product.a_at_issue[lane], 16) != 0) {
            report(ErrorKind::kWgmma, "A registers of the wgmma at " + site_text(product.site) + " changed while it was in flight (" +
                   thread_text(warp.lanes[lane]) + ")");
            return;
        }
    }
}

/** D += A * B; with r = l / 4, t = l % 4: d[4j + 2h + p] is row r + 8h, column 8j + 2t + p. */
void multiply(const Warp& warp, Queue& queue, const Product& product) {
    Sum& sum = queue.sums[product.sum];
    auto to_float = [&](u32 bits) { return product.half ? half_to_float(bits) : bfloat16_to_float(bits); };
    float a[16][16];
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        for (u32 i = 0; i < 4; ++i) {
            float* at = &a[lane / 4 + 8 * (i % 2)][2 * (lane % 4) + 8 * (i / 2)];
            at[0] = to_float(product.a_at_issue[lane][i] & 0xffff);
            at[1] = to_float(product.a_at_issue[lane][i] >> 16);
        }
    }
    bool first_of_group = warp.index % kWarpgroup == 0;   // the four warps read the same tile: one of them stands for all
    for (u32 column = 0; column < sum.count * 2; ++column) {
        float b[16];
        for (u32 chunk = 0; chunk < 2; ++chunk) {
            u32 address = described_address(product.descriptor, column, chunk);
            u32 offset = address - kSharedBase;
            if (address < kSharedBase || offset > machine.shared_bytes - 16)
                fail(ErrorKind::kOutOfBounds, "wgmma at " + site_text(product.site) + ": row " + std::to_string(column) +
                     " of its tile lies at shared memory byte " + std::to_string(offset));
            if (machine.options.races && first_of_group) {
                race_shared_read(warp.lanes[0], offset, 16, product.site);
                check_proxy(*warp.block, offset, 16, "wgmma", product.site);
            }
            u16 bits[8];
            std::memcpy(bits, warp.block->shared + offset, 16);
            for (u32 i = 0; i < 8; ++i) b[8 * chunk + i] = to_float(bits[i]);
        }
        u32 t = column % 8 / 2;
        for (u32 row = 0; row < 16; ++row) {
            float& d = sum.values[(row % 8 * 4 + t) * sum.count + column / 8 * 4 + row / 8 * 2 + column % 2];
            for (u32 k = 0; k < 16; ++k) d += a[row][k] * b[k];
        }
    }
}

void finish(const Warp& warp, Sum& sum, Site site) {
    if (--sum.in_flight != 0) return;
    for (u32 lane = 0; lane < kWarpSize; ++lane) {
        for (u32 i = 0; i < sum.count; ++i) {
            if (float_bits(sum.at[lane][i]) == kPoison) continue;
            report(ErrorKind::kWgmma, "accumulators of the wgmma at " + site_text(site) + " changed while it was in flight (" +
                   thread_text(warp.lanes[lane]) + ")");
            break;
        }
        std::memcpy(sum.at[lane], &sum.values[lane * sum.count], sum.count * 4);
    }
}

void perform_fence(Warp& warp) { queues[warp.global_index].fenced = true; }

void perform_commit(Warp& warp) {
    Queue& queue = queues[warp.global_index];
    queue.groups.push_back(queue.open);
    queue.open = 0;
    queue.fenced = false;
}

void perform_wait(Warp& warp) {
    Queue& queue = queues[warp.global_index];
    u32 pending_groups = warp.lanes[0].post.value;
    Thread* self = current;
    while (queue.groups.size() > pending_groups) {
        for (u32 i = 0; i < queue.groups[0]; ++i) {
            const Product& product = queue.products[i];
            check_registers(warp, product);
            multiply(warp, queue, product);
            finish(warp, queue.sums[product.sum], product.site);
        }
        queue.products.erase(queue.products.begin(), queue.products.begin() + static_cast<std::ptrdiff_t>(queue.groups[0]));
        queue.groups.erase(queue.groups.begin());
    }
    current = self;
}

}  // namespace

u32 described_address(u64 descriptor, u32 row, u32 chunk) {
    u32 start = static_cast<u32>(descriptor & 0x3fff) << 4;
    u32 stride = static_cast<u32>(descriptor >> 32 & 0x3fff) << 4;
    u32 address = start + row / 8 * stride + row % 8 * 128 + chunk * 16;
    return address ^ (address >> 7 & 7) << 4;   // the 128-byte swizzle: address bits 4-6 with bits 7-9
}

void begin_wgmma() {
    queues.assign(machine.warps.size(), {});
    descriptors.assign(machine.warps.size() / kWarpgroup + 1, {});
}

void check_wgmma_at_exit(Thread& thread) {
    const Queue& queue = queues[thread.warp->global_index];
    if (thread.lane == 0 && !queue.products.empty())
        report(ErrorKind::kWgmma, "a warp exits with wgmma in flight, the first issued at " + site_text(queue.products[0].site) + " (" +
               thread_text(thread) + ")");
}

void collective_wgmma_fence(Site site) { arrive(Collective::kWgmmaFence, site, perform_fence); }

void collective_wgmma(float* d, u32 count, const u32* a, u64 descriptor, bool half, Site site) {
    current->post = {d, a, static_cast<u32>(descriptor), static_cast<u32>(descriptor >> 32)};
    switch (count) {
        case 4: return arrive(Collective::kWgmma, site, half ? perform_wgmma<true, 4> : perform_wgmma<false, 4>);
        case 8: return arrive(Collective::kWgmma, site, half ? perform_wgmma<true, 8> : perform_wgmma<false, 8>);
        case 16: return arrive(Collective::kWgmma, site, half ? perform_wgmma<true, 16> : perform_wgmma<false, 16>);
        case 32: return arrive(Collective::kWgmma, site, half ? perform_wgmma<true, 32> : perform_wgmma<false, 32>);
        case 64: return arrive(Collective::kWgmma, site, half ? perform_wgmma<true, 64> : perform_wgmma<false, 64>);
    }
    fail(ErrorKind::kBadArgument, "wgmma at " + site_text(site) + " with " + std::to_string(count) + " accumulators per lane");
}

void collective_wgmma_commit(Site site) { arrive(Collective::kWgmmaCommit, site, perform_commit); }

void collective_wgmma_wait(u32 pending_groups, Site site) {
    current->post.value = pending_groups;
    arrive(Collective::kWgmmaWait, site, perform_wait);
}

}  // namespace jmarlin::emulator
