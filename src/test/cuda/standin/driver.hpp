// What the files of the stand-in driver share: handles, the current context, and the door every call comes through.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "../machine/machine.hpp"
#include "cuda_api.hpp"

struct Context {
    CUdevice device;
    bool primary;
    CUresult sticky = CUDA_SUCCESS;   // a kernel failed: every later call of this context says so
};

/** A variable of a module, in device memory. */
struct Variable {
    CUdeviceptr address;
    std::size_t bytes;
};

struct Module {
    Context* context;
    std::shared_ptr<const jmarlin::machine::Program> program;
    std::map<std::string, Variable> variables;   // those that were asked for
};

struct Function {
    Module* module;
    Context* context;
    const jmarlin::machine::Entry* entry;
    int max_dynamic_shared = 48 * 1024;
};

/** One captured operation; it runs with the bytes that its arguments had when it was captured. */
struct GraphNode {
    std::function<CUresult()> run;
};

struct Graph {
    std::vector<std::shared_ptr<GraphNode>> nodes;
};

struct GraphExec {
    Context* context;
    Graph graph;
};

/** A capture in progress, shared by the stream that began it and those that joined it through events. */
struct Capture {
    Stream* origin;
    int mode;                         // 0 global, 1 thread-local, 2 relaxed
    bool invalid = false;
    std::unique_ptr<Graph> graph = std::make_unique<Graph>();
    std::vector<Stream*> streams;
};

struct Stream {
    Context* context;
    unsigned flags;                   // 1: non-blocking
    int priority;
    std::shared_ptr<Capture> capture;
    unsigned long long operations = 0;   // since the capture began
    unsigned long long joined = 0;       // of these, those that the capture's origin waits for
};

struct Event {
    Context* context;
    unsigned flags;                   // 2: no timing
    bool recorded = false;
    std::chrono::steady_clock::time_point time;
    std::weak_ptr<Capture> capture;   // recorded while capturing
    Stream* stream = nullptr;
    unsigned long long operations = 0;
};

namespace standin {

constexpr int kRegisters = 65536;   // of a multiprocessor, and of a block at most

/** Held by every call from its first line to its last, kernels included: the devices do one thing at a time. */
extern std::recursive_mutex lock;

/** Living handles of one kind. */
template <class T>
class Handles {
public:
    T* add(std::unique_ptr<T> object) { T* raw = object.release(); live_.insert(raw); return raw; }
    bool has(const T* object) const { return live_.count(const_cast<T*>(object)) != 0; }
    void remove(T* object) { live_.erase(object); delete object; }
    void forget(T* object) { live_.erase(object); }
    template <class Predicate> void remove_if(Predicate predicate) {
        for (auto it = live_.begin(); it != live_.end();) {
            T* object = *it;
            if (!predicate(*object)) { ++it; continue; }
            it = live_.erase(it);
            delete object;
        }
    }
    const std::unordered_set<T*>& all() const { return live_; }

private:
    std::unordered_set<T*> live_;
};

extern Handles<Context> contexts;
extern Handles<Module> modules;
extern Handles<Function> functions;
extern Handles<Stream> streams;
extern Handles<Event> events;
extern Handles<Graph> graphs;
extern Handles<GraphExec> graph_execs;

/** What the devices look like and how the stand-in behaves; read from the environment, changed through control.cpp. */
struct Settings {
    int devices = 1;
    int major = 8;
    int minor = 0;
    int multiprocessors = 4;
    long shared_optin = 163 * 1024;   // of a compute capability 8.0 device
    long l2 = 40l << 20;
    unsigned long long memory = 8ull << 30;
    int driver_version = 13000;       // reads what nvcc 13.0 writes
    int registers = 0;                // of a thread of every kernel; 0: as many as its launch bounds allow
    int clock = 1;                    // how many seconds pass between events in one
    bool fast = false;                // cuLaunchKernel checks its arguments and returns
    bool races = false;               // kernels run under the race detector
    bool machine_code = false;        // can be loaded, but not run; else it is refused as code for another device
    std::string fault;                // KIND:NAME:AFTER, planted by JMARLIN_STANDIN_FAULT
    std::atomic<unsigned long long> kernels_run{0};
    std::atomic<unsigned long long> prefetched{0};   // bytes, by the last kernel
    unsigned long long refused = 0;   // images
    std::string last_errors;          // what the machine found in the last kernel that failed
};
extern Settings settings;

/** One driver function: how often it was called, and the error that a test wants from it. */
class Call {
public:
    explicit Call(const char* name);

    /** Counts the call. Returns the injected error, or the reason why no call can succeed now. */
    CUresult enter(bool needs_context);

    const char* const name;
    std::atomic<unsigned long long> count{0};
    std::atomic<CUresult> injected{CUDA_SUCCESS};
    std::atomic<long> calls_before{0};   // this many calls still succeed
    std::atomic<long> calls_failing{0};  // then this many fail
};

/** All functions that were called or asked about. */
Call& call_named(const std::string& name);

extern std::atomic<bool> initialised;

/** The calling thread's context; null if it has none. */
Context* current_context();

bool valid_device(CUdevice device);
unsigned long long used_memory(CUdevice device);

/** Frees what a context owns. Threads that still have it current are told that it is destroyed. */
void destroy_context(Context* context);
void free_memory_of(Context* context);
void unload(Module* module);

/** A stream handle as the driver takes it: null and 1 are the legacy stream, 2 the thread's own. */
bool is_default(CUstream stream);
CUresult check_stream(CUstream stream);

/** Runs the operation now, or puts it into the graph that the stream captures. */
CUresult submit(CUstream stream, std::function<CUresult()> operation);

/** For calls that a capture forbids: invalidates every capture that does, and says so. */
CUresult forbidden_in_capture();

}  // namespace standin

#define JMARLIN_EXPORT extern "C" __attribute__((visibility("default")))

/** Opens a driver function: counts it, returns an injected error, takes the lock. */
#define DRIVER_CALL(needs_context)                                                          \
    static standin::Call& this_call = standin::call_named(__func__);                        \
    if (CUresult refused = this_call.enter(needs_context)) return refused;                  \
    std::lock_guard<std::recursive_mutex> hold(standin::lock)

#define DRIVER_REQUIRE(condition, error) \
    if (!(condition)) return (error)
