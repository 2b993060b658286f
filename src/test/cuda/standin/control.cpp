// How tests steer the stand-in: cuModuleGetGlobal with a null module and a name that is a command. StandIn.java sends them.
//
//   standin.inject FUNCTION CODE AFTER TIMES   calls of FUNCTION fail with CODE, after AFTER that succeed, TIMES times
//   standin.reset                              no injections, counts 0, settings as at the start, no sticky errors
//   standin.count FUNCTION                     size = how often FUNCTION was called ("kernels" = kernels that ran, "prefetched" = bytes the
//                                                last one fetched into the L2 cache, "refused" = images, "graphs" = those not destroyed)
//   standin.enter FUNCTION                     counts a call of another stand-in library, and fails with what is injected for it
//   standin.set KEY VALUE                      devices, capability (80), multiprocessors, shared, l2, memory, driver, registers, clock,
//                                                fast, races, machine_code
//   standin.errors                             address, size = text of what the machine found last
#include "control.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>

#include "driver.hpp"

namespace standin {

std::recursive_mutex lock;
Settings settings;

namespace {

std::map<std::string, std::unique_ptr<Call>>& calls() {
    static std::map<std::string, std::unique_ptr<Call>> all;
    return all;
}

std::string without_version(std::string name) {
    std::size_t at = name.rfind("_v");
    return at != std::string::npos && at + 3 == name.size() ? name.substr(0, at) : name;
}

bool set(const std::string& key, unsigned long long value) {
    if (key == "devices") settings.devices = static_cast<int>(value);
    else if (key == "capability") settings.major = static_cast<int>(value / 10), settings.minor = static_cast<int>(value % 10);
    else if (key == "multiprocessors") settings.multiprocessors = static_cast<int>(value);
    else if (key == "shared") settings.shared_optin = static_cast<long>(value);
    else if (key == "l2") settings.l2 = static_cast<long>(value);
    else if (key == "memory") settings.memory = value;
    else if (key == "driver") settings.driver_version = static_cast<int>(value);
    else if (key == "registers") settings.registers = static_cast<int>(value);
    else if (key == "clock") settings.clock = static_cast<int>(value);
    else if (key == "fast") settings.fast = value != 0;
    else if (key == "races") settings.races = value != 0;
    else if (key == "machine_code") settings.machine_code = value != 0;
    else return false;
    return true;
}

/** JMARLIN_STANDIN_DEVICES=2 and so on, one variable per key; and a planted fault, which module.cpp explains. */
void read_environment() {
    for (const char* key : {"devices", "capability", "multiprocessors", "shared", "l2", "memory", "driver", "registers", "clock", "fast",
                            "races", "machine_code"}) {
        std::string variable = "JMARLIN_STANDIN_";
        for (const char* c = key; *c; ++c) variable += static_cast<char>(std::toupper(*c));
        if (const char* value = std::getenv(variable.c_str())) set(key, std::strtoull(value, nullptr, 10));
    }
    const char* fault = std::getenv("JMARLIN_STANDIN_FAULT");
    settings.fault = fault ? fault : "";
}

void reset() {
    for (auto& entry : calls()) {
        entry.second->count = 0;
        entry.second->injected = CUDA_SUCCESS;
    }
    Settings fresh;
    settings.devices = fresh.devices;
    settings.major = fresh.major;
    settings.minor = fresh.minor;
    settings.multiprocessors = fresh.multiprocessors;
    settings.shared_optin = fresh.shared_optin;
    settings.l2 = fresh.l2;
    settings.memory = fresh.memory;
    settings.driver_version = fresh.driver_version;
    settings.registers = fresh.registers;
    settings.clock = fresh.clock;
    settings.fast = fresh.fast;
    settings.races = fresh.races;
    settings.machine_code = fresh.machine_code;
    settings.kernels_run = 0;
    settings.prefetched = 0;
    settings.refused = 0;
    settings.last_errors.clear();
    read_environment();
    for (Context* context : contexts.all()) context->sticky = CUDA_SUCCESS;
}

struct ReadEnvironmentAtLoad {
    ReadEnvironmentAtLoad() { read_environment(); }
} read_environment_at_load;

}  // namespace

Call::Call(const char* name) : name(name) {}

Call& call_named(const std::string& versioned) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    std::string name = without_version(versioned);
    auto found = calls().find(name);
    if (found == calls().end()) {
        found = calls().emplace(name, nullptr).first;
        found->second = std::make_unique<Call>(found->first.c_str());
    }
    return *found->second;
}

CUresult Call::enter(bool needs_context) {
    count.fetch_add(1, std::memory_order_relaxed);
    if (CUresult code = injected.load(std::memory_order_relaxed)) {
        if (calls_before.load() > 0) --calls_before;
        else if (calls_failing.fetch_sub(1) > 0) return code;
        else injected = CUDA_SUCCESS;
    }
    if (!initialised.load(std::memory_order_relaxed)) return CUDA_ERROR_NOT_INITIALIZED;
    if (!needs_context) return CUDA_SUCCESS;
    Context* context = current_context();
    return context ? context->sticky : CUDA_ERROR_INVALID_CONTEXT;
}

bool is_command(const char* name) { return std::strncmp(name, "standin.", 8) == 0; }

CUresult run_command(const char* command, CUdeviceptr* address, std::size_t* size) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    std::istringstream words(command);
    std::string verb, name;
    words >> verb;
    if (verb == "standin.reset") {
        reset();
        return CUDA_SUCCESS;
    }
    if (verb == "standin.errors") {
        static CUdeviceptr text = 0;
        if (text) jmarlin::machine::deallocate(text);
        text = jmarlin::machine::allocate(settings.last_errors.size() + 1, jmarlin::machine::Role::kInOut,
                jmarlin::machine::kAnyDevice);
        std::memcpy(reinterpret_cast<void*>(text), settings.last_errors.data(), settings.last_errors.size());
        if (address) *address = text;
        if (size) *size = settings.last_errors.size();
        return CUDA_SUCCESS;
    }
    if (verb == "standin.inject") {
        CUresult code;
        long after, times;
        if (!(words >> name >> code >> after >> times)) return CUDA_ERROR_INVALID_VALUE;
        Call& call = call_named(name);
        call.calls_before = after;
        call.calls_failing = times;
        call.injected = code;
        return CUDA_SUCCESS;
    }
    if (verb == "standin.count" && words >> name) {
        unsigned long long count = name == "kernels" ? settings.kernels_run.load()
                                 : name == "prefetched" ? settings.prefetched.load()
                                 : name == "refused" ? settings.refused
                                 : name == "graphs" ? graphs.all().size() + graph_execs.all().size()
                                 : call_named(name).count.load();
        if (size) *size = count;
        return CUDA_SUCCESS;
    }
    if (verb == "standin.enter" && words >> name) return call_named(name).enter(false);
    unsigned long long value;
    if (verb == "standin.set" && words >> name >> value && set(name, value)) return CUDA_SUCCESS;
    std::fprintf(stderr, "stand-in driver: no such command: %s\n", command);
    return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace standin
