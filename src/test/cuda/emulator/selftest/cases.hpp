// Kernels that are right by themselves and wrong in one way by an argument, and what must come of either.
#pragma once

#include <cmath>

#include "expect.hpp"

namespace selftest {

struct Args {
    u64 in, out, counters;
    int defect;   // 0: none
    u64 other;
};

using Kernel = void (*)(Args);

/** Stores a word of a result as kernels store theirs: by halves. */
inline void put(u64 address, u32 v, JMARLIN_SITE) {
    jmarlin::st_global_2(address, v, site);
    jmarlin::st_global_2(address + 2, v >> 16, site);
}

/** Publishes what happened before, to one who waits for that. */
inline void tell(u64 flag, JMARLIN_SITE) { jmarlin::atomic_inc_acq_rel(flag, 1, site); }

/** Looks, and takes back what was told. */
inline bool told(u64 flag, JMARLIN_SITE) { return jmarlin::atomic_inc_acq_rel(flag, 0, site) != 0; }

struct Setup {
    Buffer in{8192, Role::kInput}, out{4096, Role::kOutput}, counters{256, Role::kInOut}, other{16384, Role::kOutput};

    Setup() {
        for (u32 i = 0; i < 2048; ++i) in.as<u32>()[i] = 1000 + i;
    }

    /** Blocks have 64 threads, which is two warps, and 4096 bytes of shared memory. */
    Result run(Kernel kernel, u32 grid, int defect, const Policy& policy, bool races, u32 cluster = 1) {
        Options options;
        options.schedule = policy.schedule;
        options.seed = policy.seed;
        options.cluster = cluster;
        options.races = races;
        options.counters = races;
        Args args{in.address(), out.address(), counters.address(), defect, other.address()};
        return launch(kernel, grid, 64, 4096, args, options);
    }
};

using Verify = std::function<std::string(Setup&)>;

/** The kernel without a defect passes whatever the schedule, with every check on. */
inline void clean(const std::string& name, Kernel kernel, u32 grid, Verify verify, u32 cluster = 1) {
    for (const Policy& policy : kPolicies)
        add("clean: " + name + ", " + policy.name, [=]() -> std::string {
            Setup setup;
            for (int launch = 0; launch < 2; ++launch) {   // the second finds what the first left
                Result result = setup.run(kernel, grid, 0, policy, true, cluster);
                if (!result.ok()) return result.completed ? result.text() : "did not complete: " + result.text();
                std::string wrong = verify(setup);
                if (!wrong.empty()) return wrong;
            }
            return "";
        });
}

/** The defect is reported as this kind, whatever the schedule; `always` without the race detector too. */
inline void defect(const std::string& name, Kernel kernel, u32 grid, int number, ErrorKind kind, bool always = false) {
    for (const Policy& policy : kPolicies)
        add("defect: " + name + ", " + policy.name, [=]() -> std::string {
            for (bool races : {true, false}) {
                if (!races && !always) continue;
                Setup setup;
                Result result = setup.run(kernel, grid, number, policy, races);
                if (!result.has(kind)) return std::string("not reported as ") + error_kind_name(kind) + ": " + result.text();
            }
            return "";
        });
}

inline std::string sum_is(Setup& setup, const std::function<double(u32)>& expected, bool as_float) {
    for (u32 t = 0; t < 64; ++t) {
        double actual = as_float ? static_cast<double>(setup.out.as<float>()[t]) : setup.out.as<u32>()[t];
        if (!(std::fabs(actual - expected(t)) < 0.5))
            return "thread " + std::to_string(t) + ": expected " + std::to_string(expected(t)) + ", got " +
                    std::to_string(actual);
    }
    return "";
}

}  // namespace selftest
