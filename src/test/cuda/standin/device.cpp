// Initialisation, devices, contexts, error names.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "driver.hpp"

namespace standin {

std::atomic<bool> initialised{false};
Handles<Context> contexts;

namespace {

struct Primary {
    Context* context = nullptr;
    int retained = 0;
};
std::map<CUdevice, Primary> primaries;

thread_local std::vector<Context*> context_stack;

constexpr int kFirstDriverOf10 = 12080;   // and of 12.0
constexpr long kSharedDefault = 48 * 1024;
constexpr long kSharedReserved = 1024;   // per block, for the driver

int attribute_value(int attribute) {
    switch (attribute) {
        case 1: return 1024;                                                       // MAX_THREADS_PER_BLOCK
        case 2: case 3: return 1024;                                               // MAX_BLOCK_DIM_X, Y
        case 4: return 64;                                                         // MAX_BLOCK_DIM_Z
        case 5: return 0x7fffffff;                                                 // MAX_GRID_DIM_X
        case 6: case 7: return 65535;                                              // MAX_GRID_DIM_Y, Z
        case 8: return static_cast<int>(kSharedDefault);                           // MAX_SHARED_MEMORY_PER_BLOCK
        case 9: return 64 * 1024;                                                  // TOTAL_CONSTANT_MEMORY
        case 10: return 32;                                                        // WARP_SIZE
        case 12: case 82: return kRegisters;                                          // REGISTERS_PER_BLOCK, _PER_MULTIPROCESSOR
        case 13: return 1410000;                                                   // CLOCK_RATE in kHz
        case 15: return 1;                                                         // GPU_OVERLAP
        case 16: return settings.multiprocessors;                                  // MULTIPROCESSOR_COUNT
        case 19: return 1;                                                         // CAN_MAP_HOST_MEMORY
        case 31: return 1;                                                         // CONCURRENT_KERNELS
        case 36: return 1215000;                                                   // MEMORY_CLOCK_RATE in kHz
        case 37: return 5120;                                                      // GLOBAL_MEMORY_BUS_WIDTH
        case 38: return static_cast<int>(settings.l2);                             // L2_CACHE_SIZE
        case 39: return 2048;                                                      // MAX_THREADS_PER_MULTIPROCESSOR
        case 40: return 2;                                                         // ASYNC_ENGINE_COUNT
        case 41: return 1;                                                         // UNIFIED_ADDRESSING
        case 75: return settings.major;                                            // COMPUTE_CAPABILITY_MAJOR
        case 76: return settings.minor;                                            // COMPUTE_CAPABILITY_MINOR
        case 81: return static_cast<int>(settings.shared_optin + kSharedReserved); // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        case 95: return 1;                                                         // COOPERATIVE_LAUNCH
        case 97: return static_cast<int>(settings.shared_optin);                   // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        case 106: return 32;                                                       // MAX_BLOCKS_PER_MULTIPROCESSOR
        case 111: return static_cast<int>(kSharedReserved);                        // RESERVED_SHARED_MEMORY_PER_BLOCK
        case 115: return 1;                                                        // MEMORY_POOLS_SUPPORTED
        default: return 0;
    }
}

struct ErrorText { CUresult code; const char* name; const char* text; };

constexpr ErrorText kErrors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {301, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {304, "CUDA_ERROR_OPERATING_SYSTEM", "OS call failed or operation not supported on this OS"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const ErrorText* find_error(CUresult code) {
    for (const ErrorText& error : kErrors)
        if (error.code == code) return &error;
    return nullptr;
}

}  // namespace

bool valid_device(CUdevice device) { return device >= 0 && device < settings.devices; }

Context* current_context() { return context_stack.empty() ? nullptr : context_stack.back(); }

void destroy_context(Context* context) {
    free_memory_of(context);
    std::vector<Module*> loaded(modules.all().begin(), modules.all().end());
    for (Module* module : loaded)
        if (module->context == context) unload(module);
    events.remove_if([&](const Event& e) { return e.context == context; });
    graph_execs.remove_if([&](const GraphExec& g) { return g.context == context; });
    streams.remove_if([&](const Stream& s) { return s.context == context; });
    context_stack.erase(std::remove(context_stack.begin(), context_stack.end(), context), context_stack.end());
    context->sticky = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    contexts.forget(context);
}

}  // namespace standin

using namespace standin;

JMARLIN_EXPORT CUresult cuInit(unsigned flags) {
    static Call& this_call = call_named(__func__);
    bool before = initialised.exchange(true);
    CUresult refused = this_call.enter(false);
    if (refused) initialised = before;
    DRIVER_REQUIRE(!refused, refused);
    DRIVER_REQUIRE(flags == 0, CUDA_ERROR_INVALID_VALUE);
    if (settings.devices == 0) {
        initialised = before;
        return CUDA_ERROR_NO_DEVICE;
    }
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDriverGetVersion(int* version) {
    DRIVER_REQUIRE(version, CUDA_ERROR_INVALID_VALUE);
    *version = settings.driver_version;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuGetErrorName(CUresult code, const char** name) {
    DRIVER_REQUIRE(name, CUDA_ERROR_INVALID_VALUE);
    const ErrorText* error = find_error(code);
    *name = error ? error->name : nullptr;
    return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

JMARLIN_EXPORT CUresult cuGetErrorString(CUresult code, const char** text) {
    DRIVER_REQUIRE(text, CUDA_ERROR_INVALID_VALUE);
    const ErrorText* error = find_error(code);
    *text = error ? error->text : nullptr;
    return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

JMARLIN_EXPORT CUresult cuDeviceGetCount(int* count) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(count, CUDA_ERROR_INVALID_VALUE);
    // A driver from before the device's architecture does not see it.
    *count = settings.major >= 10 && settings.driver_version < kFirstDriverOf10 ? 0 : settings.devices;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(device, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(ordinal), CUDA_ERROR_INVALID_DEVICE);
    *device = ordinal;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(name && length > 0, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    std::snprintf(name, static_cast<std::size_t>(length), "Stand-in sm_%d%d device", settings.major, settings.minor);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(value && attribute > 0 && attribute < 200, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    *value = attribute_value(attribute);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(major && minor, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    *major = settings.major;
    *minor = settings.minor;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(bytes, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    *bytes = settings.memory;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(can, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device) && valid_device(peer), CUDA_ERROR_INVALID_DEVICE);
    *can = 0;
    return CUDA_SUCCESS;
}

// ---- Contexts ----

JMARLIN_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(context, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    Primary& primary = primaries[device];
    if (!primary.context) primary.context = contexts.add(std::make_unique<Context>(Context{device, true}));
    ++primary.retained;
    *context = primary.context;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    Primary& primary = primaries[device];
    DRIVER_REQUIRE(primary.retained > 0, CUDA_ERROR_INVALID_CONTEXT);
    if (--primary.retained == 0) {
        destroy_context(primary.context);
        primary.context = nullptr;
    }
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    Primary& primary = primaries[device];
    if (primary.context) destroy_context(primary.context);
    primary = Primary{};
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    if (flags) *flags = 0;
    if (active) *active = primaries[device].context != nullptr;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxCreate_v2(CUcontext* context, unsigned, CUdevice device) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(context, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(valid_device(device), CUDA_ERROR_INVALID_DEVICE);
    *context = contexts.add(std::make_unique<Context>(Context{device, false}));
    context_stack.push_back(*context);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxDestroy_v2(CUcontext context) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(contexts.has(context) && !context->primary, CUDA_ERROR_INVALID_CONTEXT);
    destroy_context(context);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(context, CUDA_ERROR_INVALID_VALUE);
    *context = current_context();
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(!context || contexts.has(context), CUDA_ERROR_INVALID_CONTEXT);
    if (!context_stack.empty()) context_stack.pop_back();
    if (context) context_stack.push_back(context);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(contexts.has(context), CUDA_ERROR_INVALID_CONTEXT);
    context_stack.push_back(context);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxPopCurrent_v2(CUcontext* context) {
    DRIVER_CALL(false);
    DRIVER_REQUIRE(!context_stack.empty(), CUDA_ERROR_INVALID_CONTEXT);
    if (context) *context = context_stack.back();
    context_stack.pop_back();
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(device, CUDA_ERROR_INVALID_VALUE);
    *device = current_context()->device;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxGetApiVersion(CUcontext, unsigned* version) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(version, CUDA_ERROR_INVALID_VALUE);
    *version = 3020;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxGetFlags(unsigned* flags) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(flags, CUDA_ERROR_INVALID_VALUE);
    *flags = 0;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    DRIVER_CALL(true);
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuCtxSynchronize() {
    DRIVER_CALL(true);
    return forbidden_in_capture();
}
