// The gap between the nodes of a graph.
#pragma once

#include "report.cuh"

namespace {

__global__ void __launch_bounds__(384, 1) nothing() {}

void measure_graph(int shared) {
    constexpr int kNodes = 200;
    allow_shared(reinterpret_cast<const void*>(nothing), 220 * 1024);
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < kNodes; ++i) nothing<<<multiprocessors, 384, shared, stream>>>();
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&exec, graph, 0));
    cudaEvent_t begin, end;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    float least = 1e30f;
    for (int run = 0; run < 6; ++run) {
        CHECK(cudaEventRecord(begin, stream));
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaEventRecord(end, stream));
        CHECK(cudaEventSynchronize(end));
        float time;
        CHECK(cudaEventElapsedTime(&time, begin, end));
        if (run > 0) least = std::min(least, time);
    }
    std::printf("empty kernels of 384 threads and %d KB in a graph: %.2f us each    3.3 us of fixed cost per kernel\n", shared / 1024,
                least * 1e3 / kNodes);
}

}  // namespace
