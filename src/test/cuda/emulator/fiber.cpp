#include "fiber.hpp"

#include <cstdint>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace jmarlin::emulator {

#ifdef JMARLIN_FIBER_UCONTEXT

void fiber_prepare(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)()) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stack;
    fiber.context.uc_stack.ss_size = bytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, entry, 0);
}

void fiber_switch(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#else

// NOTES: it ends in ret, not in an indirect jump: all lanes of a warp suspend in the same place, so the processor's
// return predictor is right about every one of them.
asm(R"(
    .text
    .p2align 4
    .hidden jmarlin_fiber_switch
    .globl jmarlin_fiber_switch
    .type jmarlin_fiber_switch, @function
jmarlin_fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size jmarlin_fiber_switch, .-jmarlin_fiber_switch
)");

extern "C" void jmarlin_fiber_switch(void** from, void** to);

void fiber_prepare(Fiber& fiber, char* stack, std::size_t bytes, void (*entry)()) {
    // From the top: a null return address for the entry, the entry as the switch's return address, six registers.
    auto top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) & ~std::uintptr_t{15};
    auto* slot = reinterpret_cast<void**>(top);
    *--slot = nullptr;
    *--slot = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--slot = nullptr;
    fiber.stack_pointer = slot;
}

void fiber_switch(Fiber& from, Fiber& to) { jmarlin_fiber_switch(&from.stack_pointer, &to.stack_pointer); }

#endif

namespace {
constexpr std::uint64_t kCanary = 0x57ac4e6d0f10a7b3u;
constexpr std::size_t kCanaryWords = 8;
}  // namespace

FiberStacks::~FiberStacks() {
    if (base_) munmap(base_, stacks_ * kStride);
}

void FiberStacks::reserve(std::size_t stacks) {
    if (stacks > stacks_) {
        if (base_) munmap(base_, stacks_ * kStride);
        void* region = mmap(nullptr, stacks * kStride, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<char*>(region);
        stacks_ = stacks;
    }
    for (std::size_t i = 0; i < stacks; ++i)
        for (std::size_t w = 0; w < kCanaryWords; ++w) std::memcpy(stack(i) + 8 * w, &kCanary, 8);
}

bool FiberStacks::overflowed(std::size_t index) const {
    for (std::size_t w = 0; w < kCanaryWords; ++w)
        if (std::memcmp(stack(index) + 8 * w, &kCanary, 8) != 0) return true;
    return false;
}

}  // namespace jmarlin::emulator
