// What the Hopper kernel's predictions rest on, measured one by one. For the first minutes on a GPU of compute capability 9.0:
//
//   nvcc -std=c++17 -O3 -Isrc/main/cuda -gencode=arch=compute_90a,code=sm_90a -o hopper_probe src/bench/cuda/hopper_probe.cu
//   ./hopper_probe
//
// One line per figure: what, its value, and the constant of plan/Rate.java or the claim of docs/hopper.md that it replaces. Clocks are
// those of the SM (clock64); times are the least of five runs between events. It exits with 1 if something is computed wrongly.
// The last line stores the rates for the library's cost model.
#include "hopper_probe/clusters.cuh"
#include "hopper_probe/copies.cuh"
#include "hopper_probe/graph.cuh"
#include "hopper_probe/products.cuh"

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);     // a limit on its time must not cost the lines before
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    if (device.major != 9 || device.minor != 0) {
        std::printf("%s is of compute capability %d.%d: 9.0 expected\n", device.name, device.major, device.minor);
        return 2;
    }
    multiprocessors = device.multiProcessorCount;
    int clock_khz = 0;
    CHECK(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0));
    double clock_hz = clock_khz * 1e3;
    std::printf("%s, %d SMs, top clock %.0f MHz (clocks below count at the clock of the moment)\n", device.name,
                multiprocessors, clock_hz / 1e6);

    constexpr u32 kOnes = 0x3c003c00, kSubnormals = 0x00050005, kBfloat16Ones = 0x3f803f80;
    rate("LEAST_WGMMA_CLOCKS", measure_wgmma<Half, 4>("fp16", "normal", kOnes));
    measure_wgmma<Half, 4>("fp16", "subnormal", kSubnormals);
    measure_wgmma<Half, 8>("fp16", "normal", kOnes);
    measure_wgmma<Half, 16>("fp16", "normal", kOnes);
    measure_wgmma<Half, 32>("fp16", "normal", kOnes);
    rate("CLOCKS_PER_WGMMA_COLUMN", measure_wgmma<Half, 64>("fp16", "normal", kOnes) / 128);
    measure_wgmma<Bfloat16, 4>("bf16", "normal", kBfloat16Ones);
    measure_wgmma<Bfloat16, 64>("bf16", "normal", kBfloat16Ones);
    measure_wgmma<Half, 4, true>("fp16", "normal", kOnes);
    measure_wgmma<Half, 32, true>("fp16", "normal", kOnes);
    check_subnormal<Half>("fp16", 0x0005, 0x3c00, 16 * 5 * 0x1p-24f);       // 5 * 2^-24 * 1
    check_subnormal<Bfloat16>("bf16", 0x0005, 0x7e80, 16 * 5 * 0x1p-7f);    // 5 * 2^-133 * 2^126
    check_bfloat16_fma();
    measure_copies(clock_hz);
    measure_cluster<2>(clock_hz);
    measure_cluster<4>(clock_hz);
    measure_sending();
    measure_graph(0);
    measure_graph(220 * 1024);
    std::printf("jmarlin tune --rate %s\n", rates.c_str());
    return wrong == 0 ? 0 : 1;
}
