// What all measurements share: figures on their way out, errors, times and memory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "ptx_sm90.cuh"

using namespace jmarlin;

namespace {

int wrong = 0;
int multiprocessors = 0;
std::string rates;      // NAME=VALUE,NAME=VALUE

/** A rate of the cost model: said at once, in case that this program does not reach its end. */
void rate(const char* name, double value) {
    char text[80];
    std::snprintf(text, sizeof(text), "%s=%.4g", name, value);
    std::printf("rate %s\n", text);
    rates += (rates.empty() ? "" : ",") + std::string(text);
}

void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    std::printf("%s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}
#define CHECK(call) check(call, #call)

/** Milliseconds of the fastest of five runs, after one to warm up. */
template <class Launch>
float milliseconds(Launch launch) {
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    float least = 1e30f;
    for (int run = 0; run < 6; ++run) {
        CHECK(cudaEventRecord(begin));
        launch();
        CHECK(cudaEventRecord(end));
        CHECK(cudaEventSynchronize(end));
        float time;
        CHECK(cudaEventElapsedTime(&time, begin, end));
        if (run > 0) least = std::min(least, time);
    }
    CHECK(cudaGetLastError());
    return least;
}

template <class T>
struct DeviceArray {
    T* data;
    explicit DeviceArray(size_t count) {
        CHECK(cudaMalloc(&data, count * sizeof(T)));
        CHECK(cudaMemset(data, 0, count * sizeof(T)));
    }
    ~DeviceArray() { cudaFree(data); }
    std::vector<T> copy(size_t count) const {
        std::vector<T> host(count);
        CHECK(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
        return host;
    }
};

void allow_shared(const void* kernel, int bytes) {
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

}  // namespace
