// Fibers: one flow of control per emulated CUDA thread, switched by hand on one host thread.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) || !defined(__linux__)
#define JMARLIN_FIBER_UCONTEXT 1
#include <ucontext.h>
#endif

namespace jmarlin::emulator {

/** A suspended flow of control. Its registers lie on its own stack (or in a ucontext where we have no assembly). */
struct Fiber {
#ifdef JMARLIN_FIBER_UCONTEXT
    ucontext_t context;
#else
    void* stack_pointer = nullptr;
#endif
};

/** Makes the first switch to this fiber call entry, which must never return. */
void fiber_prepare(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)());

/** Saves the running flow of control in from and continues to. */
void fiber_switch(Fiber& from, Fiber& to);

/** Stacks for a launch, kept from launch to launch. */
class FiberStacks {
public:
    /** Usable bytes of one stack; a kernel that needs more overwrites its canary and is told so. */
    static constexpr std::size_t kBytes = 32768;

    ~FiberStacks();

    /** Makes at least this many stacks available and writes their canaries. */
    void reserve(std::size_t stacks);

    char* stack(std::size_t index) const { return base_ + index * kStride + kGap; }

    bool overflowed(std::size_t index) const;

private:
    // Unused bytes below each stack: a small overflow hits them and not the neighbour.
    // NOTES: an odd number of cache lines, so that the tops of a warp's stacks fall into different cache sets.
    static constexpr std::size_t kGap = 17 * 64;
    static constexpr std::size_t kStride = kBytes + kGap;

    char* base_ = nullptr;
    std::size_t stacks_ = 0;
};

}  // namespace jmarlin::emulator
