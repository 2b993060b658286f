// Modules, functions, launches.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../machine/machine.hpp"
#include "control.hpp"
#include "driver.hpp"
#include "image.hpp"

namespace standin {

Handles<Module> modules;
Handles<Function> functions;

namespace {

/** Warp instructions after which a kernel hangs: minutes, where the largest of a test takes seconds. */
constexpr unsigned long long kStepLimit = 500'000'000;

using Arguments = std::vector<unsigned char>;

CUresult load(CUmodule* module, const void* image) {
    DRIVER_REQUIRE(module && image, CUDA_ERROR_INVALID_VALUE);
    auto fresh = std::make_unique<Module>();
    if (CUresult refused = open_image(image, fresh->program)) {
        ++settings.refused;
        return refused;
    }
    fresh->context = current_context();
    *module = modules.add(std::move(fresh));
    return CUDA_SUCCESS;
}

CUresult error_of(const jmarlin::machine::Result& result) {
    using jmarlin::machine::ErrorKind;
    if (result.has(ErrorKind::kMisaligned)) return CUDA_ERROR_MISALIGNED_ADDRESS;
    if (result.has(ErrorKind::kOutOfBounds) || result.has(ErrorKind::kReadOnly)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    return CUDA_ERROR_LAUNCH_FAILED;
}

/** Where a product's arguments name its result (gemm_args.cuh). */
constexpr std::size_t kResultAt = 6 * sizeof(CUdeviceptr);

/**
 * The fault planted in this launch: "hang", "address" or "wrong"; mostly none. JMARLIN_STANDIN_FAULT=KIND:NAME:AFTER plants it in every
 * launch of the kernels whose names begin with NAME, after AFTER of them in this process.
 */
std::string planted(const std::string& kernel) {
    static unsigned long long launches = 0;
    const std::string& fault = settings.fault;
    const std::size_t colon = fault.find(':'), second = fault.find(':', colon + 1);
    if (colon == std::string::npos || kernel.rfind(fault.substr(colon + 1, second - colon - 1), 0) != 0) return "";
    const unsigned long long after = second == std::string::npos ? 0 : std::strtoull(fault.c_str() + second + 1, nullptr, 10);
    return launches++ < after ? "" : fault.substr(0, colon);
}

/** Runs the kernel. As on a device, its errors are the later calls' to report. */
CUresult run_kernel(const Function& function, const jmarlin::machine::Shape& shape, const Arguments& arguments) {
    if (settings.fast) return CUDA_SUCCESS;
    ++settings.kernels_run;
    const std::string fault = planted(function.entry->name);
    while (fault == "hang") pause();
    if (fault == "address") {
        function.context->sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
        return CUDA_SUCCESS;
    }
    jmarlin::machine::Options options;
    options.races = settings.races;
    options.device = static_cast<unsigned>(function.context->device);
    options.step_limit = kStepLimit;
    const std::string& name = function.entry->name;
    jmarlin::machine::Result result =
            jmarlin::machine::launch(*function.module->program, name, shape, arguments.data(), arguments.size(), options);
    settings.prefetched = 0;
    for (const jmarlin::machine::Range& range : result.prefetches) settings.prefetched += range.bytes;
    if (!result.ok()) {
        settings.last_errors = name + "\n" + result.text();
        std::fprintf(stderr, "stand-in driver: %s", settings.last_errors.c_str());
        function.context->sticky = error_of(result);
    }
    if (fault == "wrong") {
        CUdeviceptr c;
        std::memcpy(&c, arguments.data() + kResultAt, sizeof c);
        *reinterpret_cast<unsigned short*>(c) ^= 0x4000;      // the exponent's upper bit
    }
    return CUDA_SUCCESS;
}

/** Collects the arguments from kernelParams (one pointer per parameter; ours have one) or from extra. */
CUresult collect(const Function& function, void** params, void** extra, Arguments& arguments) {
    std::size_t bytes = function.entry->parameter_bytes;
    if (bytes == 0 && !extra) return CUDA_SUCCESS;
    DRIVER_REQUIRE((params != nullptr) != (extra != nullptr), CUDA_ERROR_INVALID_VALUE);
    const void* from = nullptr;
    if (params) {
        from = params[0];
    } else {
        for (; extra[0]; extra += 2) {   // 1: pointer, 2: pointer to the size
            if (extra[0] == reinterpret_cast<void*>(1)) from = extra[1];
            else if (extra[0] == reinterpret_cast<void*>(2)) bytes = *static_cast<std::size_t*>(extra[1]);
            else return CUDA_ERROR_INVALID_VALUE;
        }
    }
    DRIVER_REQUIRE(from && bytes == function.entry->parameter_bytes, CUDA_ERROR_INVALID_VALUE);
    const auto* first = static_cast<const unsigned char*>(from);
    arguments.assign(first, first + bytes);
    return CUDA_SUCCESS;
}

/** Registers of a thread: as ptxas may use them, so that a block of the most threads fits a multiprocessor, in steps of 8. */
int registers(const Function& function) {
    int most = kRegisters / static_cast<int>(function.entry->max_threads) / 8 * 8;
    return settings.registers ? settings.registers : std::min(255, most);
}

/** Blocks of a function that fit one multiprocessor. */
int blocks_per_multiprocessor(int threads, std::size_t shared) {
    long available = settings.shared_optin + 1024;
    long by_shared = available / (static_cast<long>(shared) + 1024);
    return static_cast<int>(std::min<long>({2048 / threads, by_shared, 32}));
}

}  // namespace

void unload(Module* module) {
    for (const auto& variable : module->variables) jmarlin::machine::deallocate(variable.second.address);
    functions.remove_if([&](const Function& f) { return f.module == module; });
    modules.remove(module);
}

}  // namespace standin

using namespace standin;

JMARLIN_EXPORT CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, int*, void**) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
    DRIVER_CALL(true);
    return load(module, image);
}

JMARLIN_EXPORT CUresult cuModuleUnload(CUmodule module) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(modules.has(module), CUDA_ERROR_INVALID_HANDLE);
    unload(module);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(function && name, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(modules.has(module) && module->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    const jmarlin::machine::Entry* entry = module->program->find(name);
    DRIVER_REQUIRE(entry, CUDA_ERROR_NOT_FOUND);
    for (Function* known : functions.all())
        if (known->module == module && known->entry == entry) {
            *function = known;
            return CUDA_SUCCESS;
        }
    try {
        module->program->code(*entry);
    } catch (const jmarlin::machine::ParseError& error) {
        std::fprintf(stderr, "stand-in driver: %s\n", error.what());
        return CUDA_ERROR_INVALID_PTX;
    }
    *function = functions.add(std::make_unique<Function>(Function{module, module->context, entry}));
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, std::size_t* size, CUmodule module, const char* name) {
    if (!module && name && is_command(name)) return run_command(name, address, size);
    DRIVER_CALL(true);
    DRIVER_REQUIRE(name, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(modules.has(module) && module->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    auto known = module->variables.find(name);
    if (known == module->variables.end()) {
        const jmarlin::machine::Global* global = module->program->find_global(name);
        DRIVER_REQUIRE(global, CUDA_ERROR_NOT_FOUND);
        CUdeviceptr memory = jmarlin::machine::allocate(global->bytes.size(), jmarlin::machine::Role::kInput,
                static_cast<unsigned>(module->context->device));
        DRIVER_REQUIRE(memory, CUDA_ERROR_OUT_OF_MEMORY);
        std::memcpy(reinterpret_cast<void*>(memory), global->bytes.data(), global->bytes.size());
        known = module->variables.emplace(name, Variable{memory, global->bytes.size()}).first;
    }
    if (address) *address = known->second.address;
    if (size) *size = known->second.bytes;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncGetModule(CUmodule* module, CUfunction function) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(module && functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    *module = function->module;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    if (attribute == 9) return CUDA_SUCCESS;                      // PREFERRED_SHARED_MEMORY_CARVEOUT
    DRIVER_REQUIRE(attribute == 8, CUDA_ERROR_INVALID_VALUE);     // MAX_DYNAMIC_SHARED_SIZE_BYTES
    DRIVER_REQUIRE(value >= 0 && value <= settings.shared_optin, CUDA_ERROR_INVALID_VALUE);
    function->max_dynamic_shared = value;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(value, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    switch (attribute) {
        case 0: *value = static_cast<int>(function->entry->max_threads); return CUDA_SUCCESS;   // MAX_THREADS_PER_BLOCK
        case 1: case 2: case 3: *value = 0; return CUDA_SUCCESS;             // static shared, constant and local bytes
        case 4: *value = registers(*function); return CUDA_SUCCESS;          // NUM_REGS
        case 5: *value = std::stoi(function->module->program->target()); return CUDA_SUCCESS;   // PTX_VERSION: the target
        case 6: *value = settings.major * 10 + settings.minor; return CUDA_SUCCESS;             // BINARY_VERSION
        case 7: *value = 0; return CUDA_SUCCESS;                             // CACHE_MODE_CA
        case 8: *value = function->max_dynamic_shared; return CUDA_SUCCESS;
        default: return CUDA_ERROR_INVALID_VALUE;
    }
}

JMARLIN_EXPORT CUresult cuFuncSetCacheConfig(CUfunction function, int) {
    DRIVER_CALL(true);
    return functions.has(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

JMARLIN_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                       CUstream stream, void** params, void** extra) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(functions.has(function) && function->context == current_context(), CUDA_ERROR_INVALID_HANDLE);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(grid_x > 0 && grid_x <= 0x7fffffff && grid_y == 1 && grid_z == 1, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(block_x > 0 && block_x % 32 == 0 && block_y == 1 && block_z == 1, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(block_x <= function->entry->max_threads, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
    DRIVER_REQUIRE(shared <= static_cast<unsigned>(function->max_dynamic_shared), CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(grid_x % function->entry->cluster == 0, CUDA_ERROR_INVALID_VALUE);
    Arguments arguments;
    if (CUresult bad = collect(*function, params, extra, arguments)) return bad;
    if (settings.fast && (is_default(stream) || !stream->capture)) return CUDA_SUCCESS;
    return submit(stream, [=]() -> CUresult {
        DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
        return run_kernel(*function, {grid_x, block_x, shared}, arguments);
    });
}

// ---- Occupancy ----

JMARLIN_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads,
        std::size_t shared) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(blocks && threads > 0, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(functions.has(function), CUDA_ERROR_INVALID_HANDLE);
    bool fits = threads <= static_cast<int>(function->entry->max_threads) &&
            shared <= static_cast<std::size_t>(function->max_dynamic_shared);
    *blocks = fits ? blocks_per_multiprocessor(threads, shared) : 0;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int threads,
                                                                            std::size_t shared, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, shared);
}
