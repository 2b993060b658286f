// The kernels under test, by name.
#pragma once

#include <type_traits>
#include <vector>

#include "striped/striped.cuh"

namespace striped_test {

struct Instance {
    const char* name;
    void (*kernel)(jmarlin::GemmArgs);
    bool bf16, zeros, group32;
    int batch, columns;
    jmarlin::u32 (*shared_bytes)(jmarlin::u32 stages);
};

using jmarlin::Bfloat16;
using jmarlin::Half;

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns>
Instance instance(const char* name, void (*kernel)(jmarlin::GemmArgs)) {
    using Shape = jmarlin::StripedShape<T, kZeros, kGroup32, kBatch, kColumns>;
    return {name, kernel, std::is_same<T, Bfloat16>::value, kZeros, kGroup32, kBatch, kColumns, Shape::shared_bytes};
}

/** Defined by the one of all_instances.cpp and few_instances.cpp that is linked in. */
std::vector<Instance> instances();

}  // namespace striped_test
