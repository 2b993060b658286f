// Three instances that between them use every branch of the kernel's headers; quick to compile for a mutation.
#include "instances.hpp"

namespace striped_test {

namespace {

template <class T, bool kZeros, bool kGroup32, int kBatch, int kColumns>
void entry(jmarlin::GemmArgs args) {
    jmarlin::striped_gemm<jmarlin::StripedShape<T, kZeros, kGroup32, kBatch, kColumns>>(args);
}

}  // namespace

std::vector<Instance> instances() {
    return {instance<Half, true, true, 8, 64>("f16_zp_g32_m8_n64", entry<Half, true, true, 8, 64>),
            instance<Half, false, false, 16, 128>("f16_sym_g64_m16_n128", entry<Half, false, false, 16, 128>),
            instance<Bfloat16, true, false, 64, 256>("bf16_zp_g64_m64_n256", entry<Bfloat16, true, false, 64, 256>)};
}

}  // namespace striped_test
