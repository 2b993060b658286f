// Streams, events, capture and graphs. Work is done when it is submitted, so a stream is always idle.
#include <algorithm>

#include "driver.hpp"

namespace standin {

Handles<Stream> streams;
Handles<Event> events;
Handles<Graph> graphs;
Handles<GraphExec> graph_execs;

namespace {

CUstream const kLegacy = reinterpret_cast<CUstream>(1);
CUstream const kPerThread = reinterpret_cast<CUstream>(2);

bool capturing(CUstream stream) { return !is_default(stream) && stream->capture; }

/** The legacy stream waits for all blocking streams, which a capture cannot express. */
CUresult check_legacy(CUstream stream) {
    if (stream == kPerThread) return CUDA_SUCCESS;
    CUresult result = CUDA_SUCCESS;
    for (Stream* other : streams.all())
        if (other->capture && other->context == current_context() && !(other->flags & 1)) {
            other->capture->invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    return result;
}

CUresult run(const Graph& graph) {
    for (const auto& node : graph.nodes)
        if (CUresult failed = node->run()) return failed;
    return CUDA_SUCCESS;
}

}  // namespace

bool is_default(CUstream stream) { return !stream || stream == kLegacy || stream == kPerThread; }

CUresult check_stream(CUstream stream) {
    if (is_default(stream)) return CUDA_SUCCESS;
    DRIVER_REQUIRE(streams.has(stream), CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(stream->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    return CUDA_SUCCESS;
}

CUresult submit(CUstream stream, std::function<CUresult()> operation) {
    if (CUresult bad = check_stream(stream)) return bad;
    if (!capturing(stream)) {
        if (is_default(stream))
            if (CUresult bad = check_legacy(stream)) return bad;
        CUresult failed = operation();
        if (failed == CUDA_ERROR_ILLEGAL_ADDRESS) current_context()->sticky = failed;
        return failed;
    }
    DRIVER_REQUIRE(!stream->capture->invalid, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    stream->capture->graph->nodes.push_back(std::make_shared<GraphNode>(GraphNode{std::move(operation)}));
    ++stream->operations;
    return CUDA_SUCCESS;
}

CUresult forbidden_in_capture() {
    CUresult result = CUDA_SUCCESS;
    for (Stream* stream : streams.all())
        if (stream->capture && stream->capture->mode != 2 && stream->context == current_context()) {
            stream->capture->invalid = true;
            result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    return result;
}

}  // namespace standin

using namespace standin;

// ---- Streams ----

static CUresult create_stream(CUstream* stream, unsigned flags, int priority) {
    DRIVER_REQUIRE(stream && flags <= 1, CUDA_ERROR_INVALID_VALUE);
    auto fresh = std::make_unique<Stream>();
    fresh->context = current_context();
    fresh->flags = flags;
    fresh->priority = std::max(-5, std::min(0, priority));
    *stream = streams.add(std::move(fresh));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
    DRIVER_CALL(true);
    return create_stream(stream, flags, priority);
}

JMARLIN_EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
    DRIVER_CALL(true);
    return create_stream(stream, flags, 0);
}

JMARLIN_EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(!is_default(stream) && streams.has(stream), CUDA_ERROR_INVALID_HANDLE);
    if (stream->capture) {
        auto& members = stream->capture->streams;
        members.erase(std::remove(members.begin(), members.end(), stream), members.end());
        stream->capture->invalid = true;
    }
    streams.remove(stream);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamSynchronize(CUstream stream) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    if (!capturing(stream)) return is_default(stream) ? check_legacy(stream) : CUDA_SUCCESS;
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

JMARLIN_EXPORT CUresult cuStreamQuery(CUstream stream) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    if (!capturing(stream)) return CUDA_SUCCESS;
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

JMARLIN_EXPORT CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(context, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(is_default(stream) || streams.has(stream), CUDA_ERROR_INVALID_HANDLE);
    *context = is_default(stream) ? current_context() : stream->context;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamGetFlags(CUstream stream, unsigned* flags) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    *flags = is_default(stream) ? 0 : stream->flags;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamGetPriority(CUstream stream, int* priority) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    *priority = is_default(stream) ? 0 : stream->priority;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuLaunchHostFunc(CUstream stream, void (*function)(void*), void* data) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(function, CUDA_ERROR_INVALID_VALUE);
    return submit(stream, [=] { function(data); return CUDA_SUCCESS; });
}

// ---- Events ----

JMARLIN_EXPORT CUresult cuEventCreate(CUevent* event, unsigned flags) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(event && flags <= 7, CUDA_ERROR_INVALID_VALUE);
    auto fresh = std::make_unique<Event>();
    fresh->context = current_context();
    fresh->flags = flags;
    *event = events.add(std::move(fresh));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuEventDestroy_v2(CUevent event) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(events.has(event), CUDA_ERROR_INVALID_HANDLE);
    events.remove(event);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(events.has(event) && event->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    if (CUresult bad = check_stream(stream)) return bad;
    if (capturing(stream)) {
        DRIVER_REQUIRE(!stream->capture->invalid, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        event->capture = stream->capture;
        event->stream = stream;
        event->operations = stream->operations;
        return CUDA_SUCCESS;
    }
    event->capture.reset();
    event->recorded = true;
    event->time = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuEventQuery(CUevent event) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(events.has(event), CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(!event->capture.lock(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuEventSynchronize(CUevent event) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(events.has(event), CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(!event->capture.lock(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(milliseconds, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(events.has(start) && events.has(end) && start->recorded && end->recorded, CUDA_ERROR_INVALID_HANDLE);
    DRIVER_REQUIRE(!(start->flags & 2) && !(end->flags & 2), CUDA_ERROR_INVALID_HANDLE);
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count() * static_cast<float>(settings.clock);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(flags <= 1, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(events.has(event), CUDA_ERROR_INVALID_HANDLE);
    if (CUresult bad = check_stream(stream)) return bad;
    std::shared_ptr<Capture> capture = event->capture.lock();
    if (!capture) return CUDA_SUCCESS;
    DRIVER_REQUIRE(!is_default(stream), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    DRIVER_REQUIRE(!stream->capture || stream->capture == capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (!stream->capture) {   // the event draws this stream into the capture
        stream->capture = capture;
        stream->operations = stream->joined = 0;
        capture->streams.push_back(stream);
    } else if (stream == capture->origin && streams.has(event->stream)) {
        event->stream->joined = std::max(event->stream->joined, event->operations);
    }
    return CUDA_SUCCESS;
}

// ---- Capture ----

JMARLIN_EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(mode >= 0 && mode <= 2, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(stream && stream != kLegacy && stream != kPerThread, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(!stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream;
    stream->capture->mode = mode;
    stream->capture->streams.push_back(stream);
    stream->operations = stream->joined = 0;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(graph, CUDA_ERROR_INVALID_VALUE);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(capturing(stream), CUDA_ERROR_INVALID_VALUE);
    std::shared_ptr<Capture> capture = stream->capture;
    DRIVER_REQUIRE(capture->origin == stream, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    bool unjoined = false;
    for (Stream* member : capture->streams) {
        unjoined = unjoined || (member != stream && member->joined < member->operations);
        member->capture = nullptr;
    }
    *graph = nullptr;
    DRIVER_REQUIRE(!capture->invalid, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    DRIVER_REQUIRE(!unjoined, CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    *graph = graphs.add(std::move(capture->graph));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuStreamIsCapturing(CUstream stream, int* status) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(status, CUDA_ERROR_INVALID_VALUE);
    if (CUresult bad = check_stream(stream)) return bad;
    *status = !capturing(stream) ? 0 : stream->capture->invalid ? 2 : 1;
    return CUDA_SUCCESS;
}

// ---- Graphs ----

JMARLIN_EXPORT CUresult cuGraphCreate(CUgraph* graph, unsigned flags) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(graph && flags == 0, CUDA_ERROR_INVALID_VALUE);
    *graph = graphs.add(std::make_unique<Graph>());
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGraphDestroy(CUgraph graph) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(graphs.has(graph), CUDA_ERROR_INVALID_VALUE);
    graphs.remove(graph);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, std::size_t* count) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(graphs.has(graph) && count, CUDA_ERROR_INVALID_VALUE);
    if (nodes)
        for (std::size_t i = 0; i < *count; ++i) nodes[i] = i < graph->nodes.size() ? graph->nodes[i].get() : nullptr;
    *count = nodes ? std::min(*count, graph->nodes.size()) : graph->nodes.size();
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(exec && graphs.has(graph), CUDA_ERROR_INVALID_VALUE);
    *exec = graph_execs.add(std::make_unique<GraphExec>(GraphExec{current_context(), *graph}));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(graph_execs.has(exec), CUDA_ERROR_INVALID_VALUE);
    graph_execs.remove(exec);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(graph_execs.has(exec), CUDA_ERROR_INVALID_VALUE);
    return check_stream(stream);
}

JMARLIN_EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(graph_execs.has(exec), CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(exec->context == current_context(), CUDA_ERROR_INVALID_CONTEXT);
    Graph copy = exec->graph;   // a captured launch becomes a child graph
    return submit(stream, [copy] { return run(copy); });
}
