// Instructions that every lane executes by itself: a row of the table is a lambda of one lane's values.
//
//   row("add.s32", [](s32 a, s32 b) { return a + b; });
//
// The types of its parameters and its result say what the operands are. A result that depends on a value that nobody wrote
// is a value that nobody wrote.
#pragma once

#include <tuple>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "state.hpp"

namespace jmarlin::machine {

template <class T>
constexpr bool kWide = std::is_same<T, u64>::value || std::is_same<T, s64>::value || std::is_same<T, double>::value;
template <class T>
constexpr bool kFlag = std::is_same<T, bool>::value;

template <class T>
using Lane = std::conditional_t<kWide<T>, u64, u32>;

template <class T>
inline T from_lane(Lane<T> bits) {
    if constexpr (std::is_integral<T>::value) return static_cast<T>(bits);
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T>
inline Lane<T> to_lane(T value) {
    if constexpr (std::is_same<T, u16>::value || std::is_same<T, s16>::value) return static_cast<u16>(value);
    if constexpr (std::is_integral<T>::value) return static_cast<Lane<T>>(value);
    Lane<T> bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

/** The values of an operand in all lanes. */
template <class T>
struct Source {
    const Lane<T>* at;
    Source(const Warp& w, const Operand& o) {
        if constexpr (kWide<T>) at = source_64(w, o);
        else at = source_32(w, o);
    }
    T operator[](u32 lane) const { return from_lane<T>(at[lane]); }
};
template <>
struct Source<bool> {
    u32 mask;
    Source(const Warp& w, const Operand& o) : mask(source_p(w, o)) {}
    bool operator[](u32 lane) const { return mask >> lane & 1; }
};

template <class T>
inline u32 written(const Warp& w, const Operand& o) {
    if constexpr (kWide<T>) return written_64(w, o);
    else if constexpr (kFlag<T>) return written_p(w, o);
    else return written_32(w, o);
}

/** Lambdas without captures have no state: any object of their type will do. */
template <class F>
inline const F& stateless() {
    static_assert(std::is_empty<F>::value, "a lambda with captures");
    static const char nothing = 0;
    return reinterpret_cast<const F&>(nothing);
}

inline u32 mask_of(const u32 (&ones)[kWarpSize]) {
    u32 mask = 0;
#if defined(__AVX2__)
    for (u32 i = 0; i < kWarpSize; i += 8) {
        __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ones + i));
        mask |= static_cast<u32>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32(v, 31)))) << i;
    }
#else
    for (u32 i = 0; i < kWarpSize; ++i) mask |= ones[i] << i;
#endif
    return mask;
}

template <class F, class R, class... A>
struct Lanewise {
    template <std::size_t... I>
    static void compute(Warp& w, const Instruction& i, u32 lanes, std::index_sequence<I...>) {
        const F& f = stateless<F>();
        const Operand* o = i.operands;
        std::tuple<Source<A>...> sources{Source<A>(w, o[I + 1])...};
        u32 known = (kAllLanes & ... & written<A>(w, o[I + 1]));
        if constexpr (kFlag<R>) {
            u32 ones[kWarpSize];
            for (u32 l = 0; l < kWarpSize; ++l) ones[l] = f(std::get<I>(sources)[l]...);
            store_p(w, o[0], lanes, mask_of(ones), known);
        } else {
            Lane<R> results[kWarpSize];
            for (u32 l = 0; l < kWarpSize; ++l) results[l] = to_lane<R>(f(std::get<I>(sources)[l]...));
            if constexpr (kWide<R>) store_64(w, o[0], lanes, results, known);
            else store_32(w, o[0], lanes, results, known);
        }
    }
    static Next run(Warp& w, const Instruction& i, u32 lanes) {
        compute(w, i, lanes, std::index_sequence_for<A...>());
        return Next::kGo;
    }
};

template <class T>
constexpr char letter(bool written) { return kFlag<T> ? (written ? 'P' : 'p') : kWide<T> ? (written ? 'D' : 'd') : written ? 'R' : 'r'; }

template <class F, class R, class... A>
Opcode lanewise(R (F::*)(A...) const) {
    Opcode opcode;
    opcode.signature = std::string(1, letter<R>(true)) + std::string{letter<A>(false)...};
    opcode.run = Lanewise<F, R, A...>::run;
    return opcode;
}

template <class F>
Opcode lanewise(F) { return lanewise(&F::operator()); }

/** row("add.s32", lambda), or several names of the same. */
struct Rows {
    OpcodeTable& table;
    template <class F>
    void operator()(std::initializer_list<const char*> names, F f) {
        for (const char* name : names) table.emplace(name, lanewise(f));
    }
    template <class F>
    void operator()(const char* name, F f) { table.emplace(name, lanewise(f)); }
};

inline Opcode instruction(const char* signature, Handler run, u32 detail = 0) {
    Opcode opcode;
    opcode.signature = signature;
    opcode.run = run;
    opcode.detail = detail;
    return opcode;
}
inline Opcode aligned(const char* signature, Handler run, u32 detail = 0) {
    Opcode opcode = instruction(signature, run, detail);
    opcode.aligned = true;
    return opcode;
}

}  // namespace jmarlin::machine
