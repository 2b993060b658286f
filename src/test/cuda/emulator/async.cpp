// cp.async: the destination is poisoned when the copy is issued and filled at the wait that guarantees it.
#include "async.hpp"

#include <cstring>

#include "counters.hpp"
#include "memory.hpp"
#include "races.hpp"

namespace jmarlin::emulator {

namespace {

constexpr u32 kCopyBytes = 16;

void deliver(const PendingCopy& copy) {
    u8* destination = current->block->shared + (copy.destination - kSharedBase);
    std::memset(destination, 0, kCopyBytes);
    std::memcpy(destination, reinterpret_cast<const void*>(copy.source), copy.valid_bytes);
    if (machine.options.races) complete_shared_copy(copy.destination - kSharedBase, kCopyBytes);
}

}  // namespace

void AsyncCopies::clear() {
    copies.clear();
    group_sizes.clear();
    first_copy = first_group = 0;
    open = 0;
}

void check_policy(u64 policy, Site site) {
    if (policy != kPolicyEvictFirst && policy != kPolicyEvictNormal)
        fail(ErrorKind::kBadArgument,
             "cp_async_16 at " + site_text(site) + ": " + std::to_string(policy) + " is not an L2 policy");
}

void async_issue(u32 destination, u64 source, u32 valid_bytes, Site site) {
    if (valid_bytes > kCopyBytes)
        fail(ErrorKind::kBadArgument,
             "cp_async_16_zfill at " + site_text(site) + ": valid_bytes is " + std::to_string(valid_bytes) + ", more than 16");
    if (source % kCopyBytes != 0)
        fail(ErrorKind::kMisaligned, "cp_async_16 at " + site_text(site) + ": source " + std::to_string(source) +
             " is not a multiple of 16");
    if (valid_bytes) {
        Allocation& allocation = find_allocation(source, valid_bytes, "source of cp_async_16", site);
        if (machine.options.counters) current->warp->log->add(*current, "cp_async_16 source", site, kCopyBytes, source, false);
        if (machine.options.races && allocation.words) race_global_read(allocation, source, valid_bytes, site, true);
        if (machine.options.reads) machine.result->reads.push_back({current->block->index, source, valid_bytes});
    }

    u8* bytes = shared_bytes(*current, destination, {"cp_async_16", kCopyBytes, true, site});
    if (machine.options.races) issue_shared_copy(destination - kSharedBase, kCopyBytes, site);
    std::memset(bytes, 0xff, kCopyBytes);

    AsyncCopies& async = current->async;
    async.copies.push_back({source, destination, valid_bytes, site});
    ++async.open;
}

void async_commit() {
    AsyncCopies& async = current->async;
    async.group_sizes.push_back(async.open);
    async.open = 0;
}

void async_wait(u32 pending_groups) {
    AsyncCopies& async = current->async;
    while (async.group_sizes.size() - async.first_group > pending_groups) {
        for (u32 n = async.group_sizes[async.first_group++]; n > 0; --n) deliver(async.copies[async.first_copy++]);
    }
    if (async.first_group == async.group_sizes.size() && async.open == 0) {
        async.clear();
    } else if (async.first_group >= 64) {
        async.group_sizes.erase(async.group_sizes.begin(),
                                async.group_sizes.begin() + static_cast<std::ptrdiff_t>(async.first_group));
        async.copies.erase(async.copies.begin(), async.copies.begin() + static_cast<std::ptrdiff_t>(async.first_copy));
        async.first_group = async.first_copy = 0;
    }
}

void check_async_at_exit(Thread& thread) {
    for (std::size_t i = thread.async.first_copy; i < thread.async.copies.size(); ++i)
        report(ErrorKind::kAsyncCopy,
               "threads exit without having waited for the copy issued at " + site_text(thread.async.copies[i].site));
}

}  // namespace jmarlin::emulator
