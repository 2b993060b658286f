// Device and pinned host memory, copies, memsets.
#include <cstdlib>
#include <cstring>
#include <map>

#include "driver.hpp"

namespace standin {

namespace {

enum class Kind { kDevice, kPinned, kRegistered };

struct Owned {
    std::size_t bytes;
    Context* context;
    Kind kind;
};
std::map<CUdeviceptr, Owned> owned;

CUresult allocate(CUdeviceptr* address, std::size_t bytes, Kind kind) {
    DRIVER_REQUIRE(address && bytes > 0, CUDA_ERROR_INVALID_VALUE);
    Context* context = current_context();
    bool device = kind == Kind::kDevice;
    if (device && bytes > settings.memory - std::min(settings.memory, used_memory(context->device)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    *address = jmarlin::machine::allocate(bytes, jmarlin::machine::Role::kInOut,
                                           device ? static_cast<unsigned>(context->device) : jmarlin::machine::kAnyDevice);
    DRIVER_REQUIRE(*address, CUDA_ERROR_OUT_OF_MEMORY);
    // What the hardware leaves there is unknown: NaN here. Only the start of a large one, whose pages would all become real.
    if (device) std::memset(reinterpret_cast<void*>(*address), 0xff, std::min<std::size_t>(bytes, 16 << 20));
    owned[*address] = {bytes, context, kind};
    return CUDA_SUCCESS;
}

CUresult release(CUdeviceptr address, Kind kind, CUresult unknown) {
    auto found = owned.find(address);
    DRIVER_REQUIRE(found != owned.end() && found->second.kind == kind, unknown);
    jmarlin::machine::deallocate(address);
    owned.erase(found);
    return CUDA_SUCCESS;
}

bool device_range(CUdeviceptr address, std::size_t bytes) {
    return bytes == 0 || jmarlin::machine::is_device_memory(address, bytes);
}

CUresult copy(CUstream stream, CUdeviceptr to, bool to_device, CUdeviceptr from, bool from_device, std::size_t bytes) {
    DRIVER_REQUIRE(!to_device || device_range(to, bytes), CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(!from_device || device_range(from, bytes), CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(bytes == 0 || (to && from), CUDA_ERROR_INVALID_VALUE);
    return submit(stream, [=]() -> CUresult {
        // Again, because a graph may outlive the memory it was captured with.
        if ((to_device && !device_range(to, bytes)) || (from_device && !device_range(from, bytes)))
            return CUDA_ERROR_ILLEGAL_ADDRESS;
        std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        return CUDA_SUCCESS;
    });
}

template <class T>
CUresult fill(CUstream stream, CUdeviceptr to, T value, std::size_t count) {
    DRIVER_REQUIRE(to % sizeof(T) == 0 && count <= ~std::size_t{0} / sizeof(T) && device_range(to, count * sizeof(T)),
            CUDA_ERROR_INVALID_VALUE);
    return submit(stream, [=]() -> CUresult {
        if (!device_range(to, count * sizeof(T))) return CUDA_ERROR_ILLEGAL_ADDRESS;
        for (std::size_t i = 0; i < count; ++i) std::memcpy(reinterpret_cast<char*>(to) + i * sizeof(T), &value, sizeof(T));
        return CUDA_SUCCESS;
    });
}

CUresult copy_2d(CUstream stream, const Copy2D* request) {
    DRIVER_REQUIRE(request, CUDA_ERROR_INVALID_VALUE);
    const Copy2D c = *request;
    auto known = [](unsigned type) { return type == 1 || type == 2 || type == 4; };
    DRIVER_REQUIRE(known(c.srcMemoryType) && known(c.dstMemoryType), CUDA_ERROR_NOT_SUPPORTED);   // 3: arrays
    if (c.WidthInBytes == 0 || c.Height == 0) return CUDA_SUCCESS;
    std::size_t from_pitch = c.srcPitch ? c.srcPitch : c.WidthInBytes;
    std::size_t to_pitch = c.dstPitch ? c.dstPitch : c.WidthInBytes;
    DRIVER_REQUIRE(c.srcXInBytes + c.WidthInBytes <= from_pitch && c.dstXInBytes + c.WidthInBytes <= to_pitch,
            CUDA_ERROR_INVALID_VALUE);
    CUdeviceptr from = (c.srcMemoryType == 1 ? reinterpret_cast<CUdeviceptr>(c.srcHost) : c.srcDevice) + c.srcY * from_pitch +
            c.srcXInBytes;
    CUdeviceptr to = (c.dstMemoryType == 1 ? reinterpret_cast<CUdeviceptr>(c.dstHost) : c.dstDevice) + c.dstY * to_pitch +
            c.dstXInBytes;
    DRIVER_REQUIRE(c.srcMemoryType != 2 || device_range(from, (c.Height - 1) * from_pitch + c.WidthInBytes),
            CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(c.dstMemoryType != 2 || device_range(to, (c.Height - 1) * to_pitch + c.WidthInBytes),
            CUDA_ERROR_INVALID_VALUE);
    return submit(stream, [=]() -> CUresult {
        for (std::size_t row = 0; row < c.Height; ++row)
            std::memmove(reinterpret_cast<char*>(to) + row * to_pitch, reinterpret_cast<const char*>(from) + row * from_pitch,
                    c.WidthInBytes);
        return CUDA_SUCCESS;
    });
}

CUdeviceptr host(const void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

}  // namespace

unsigned long long used_memory(CUdevice device) {
    unsigned long long sum = 0;
    for (const auto& entry : owned)
        if (entry.second.kind == Kind::kDevice && entry.second.context->device == device) sum += entry.second.bytes;
    return sum;
}

void free_memory_of(Context* context) {
    for (auto it = owned.begin(); it != owned.end();) {
        if (it->second.context != context) { ++it; continue; }
        jmarlin::machine::deallocate(it->first);
        it = owned.erase(it);
    }
}

}  // namespace standin

using namespace standin;

/** Opens a call that may not run while something is being captured. */
#define DRIVER_CALL_OUTSIDE_CAPTURE \
    DRIVER_CALL(true);              \
    if (CUresult capturing = forbidden_in_capture()) return capturing

JMARLIN_EXPORT CUresult cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    DRIVER_CALL(true);
    unsigned long long used = used_memory(current_context()->device);
    if (free) *free = settings.memory - std::min(settings.memory, used);
    if (total) *total = settings.memory;
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* address, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return allocate(address, bytes, Kind::kDevice);
}

JMARLIN_EXPORT CUresult cuMemFree_v2(CUdeviceptr address) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    if (address == 0) return CUDA_SUCCESS;
    return release(address, Kind::kDevice, CUDA_ERROR_INVALID_VALUE);
}

JMARLIN_EXPORT CUresult cuMemAllocAsync(CUdeviceptr* address, std::size_t bytes, CUstream stream) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(is_default(stream) || !stream->capture, CUDA_ERROR_NOT_SUPPORTED);   // allocation nodes of graphs
    return allocate(address, bytes, Kind::kDevice);
}

JMARLIN_EXPORT CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    DRIVER_CALL(true);
    if (CUresult bad = check_stream(stream)) return bad;
    DRIVER_REQUIRE(is_default(stream) || !stream->capture, CUDA_ERROR_NOT_SUPPORTED);
    return release(address, Kind::kDevice, CUDA_ERROR_INVALID_VALUE);
}

JMARLIN_EXPORT CUresult cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return allocate(reinterpret_cast<CUdeviceptr*>(pointer), bytes, Kind::kPinned);
}

JMARLIN_EXPORT CUresult cuMemAllocHost_v2(void** pointer, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return allocate(reinterpret_cast<CUdeviceptr*>(pointer), bytes, Kind::kPinned);
}

JMARLIN_EXPORT CUresult cuMemFreeHost(void* pointer) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return release(host(pointer), Kind::kPinned, CUDA_ERROR_INVALID_VALUE);
}

JMARLIN_EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned flags) {
    DRIVER_CALL(true);
    DRIVER_REQUIRE(address && flags == 0 && jmarlin::machine::is_device_memory(host(pointer), 1), CUDA_ERROR_INVALID_VALUE);
    *address = host(pointer);
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuMemHostRegister_v2(void* pointer, std::size_t bytes, unsigned) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    DRIVER_REQUIRE(pointer && bytes > 0, CUDA_ERROR_INVALID_VALUE);
    DRIVER_REQUIRE(jmarlin::machine::adopt(host(pointer), bytes, jmarlin::machine::kAnyDevice),
            CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    owned[host(pointer)] = {bytes, current_context(), Kind::kRegistered};
    return CUDA_SUCCESS;
}

JMARLIN_EXPORT CUresult cuMemHostUnregister(void* pointer) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return release(host(pointer), Kind::kRegistered, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

JMARLIN_EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, std::size_t* bytes, CUdeviceptr address) {
    DRIVER_CALL(true);
    auto after = owned.upper_bound(address);
    DRIVER_REQUIRE(after != owned.begin() && address < std::prev(after)->first + std::prev(after)->second.bytes,
            CUDA_ERROR_NOT_FOUND);
    if (base) *base = std::prev(after)->first;
    if (bytes) *bytes = std::prev(after)->second.bytes;
    return CUDA_SUCCESS;
}

/** Attribute 1: context, 2: memory type, 3: device pointer, 9: device ordinal. */
JMARLIN_EXPORT CUresult cuPointerGetAttribute(void* value, int attribute, CUdeviceptr address) {
    DRIVER_CALL(false);
    auto after = owned.upper_bound(address);
    DRIVER_REQUIRE(value && after != owned.begin() && address < std::prev(after)->first + std::prev(after)->second.bytes,
            CUDA_ERROR_INVALID_VALUE);
    const Owned& memory = std::prev(after)->second;
    switch (attribute) {
        case 1: *static_cast<Context**>(value) = memory.context; return CUDA_SUCCESS;
        case 2: *static_cast<unsigned*>(value) = memory.kind == Kind::kDevice ? 2 : 1; return CUDA_SUCCESS;
        case 3: *static_cast<CUdeviceptr*>(value) = address; return CUDA_SUCCESS;
        case 9: *static_cast<int*>(value) = memory.context->device; return CUDA_SUCCESS;
        default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}

// ---- Copies. The plain ones wait for the device, the others are in stream order; here both are done when they return. ----

JMARLIN_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy(nullptr, to, true, host(from), false, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy(nullptr, host(to), false, from, true, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy(nullptr, to, true, from, true, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy(nullptr, to, false, from, false, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
    DRIVER_CALL(true);
    return copy(stream, to, true, host(from), false, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
    DRIVER_CALL(true);
    return copy(stream, host(to), false, from, true, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
    DRIVER_CALL(true);
    return copy(stream, to, true, from, true, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
    DRIVER_CALL(true);
    return copy(stream, to, false, from, false, bytes);
}

JMARLIN_EXPORT CUresult cuMemcpy2D_v2(const Copy2D* request) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy_2d(nullptr, request);
}

JMARLIN_EXPORT CUresult cuMemcpy2DUnaligned_v2(const Copy2D* request) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return copy_2d(nullptr, request);
}

JMARLIN_EXPORT CUresult cuMemcpy2DAsync_v2(const Copy2D* request, CUstream stream) {
    DRIVER_CALL(true);
    return copy_2d(stream, request);
}

JMARLIN_EXPORT CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, std::size_t count) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return fill(nullptr, to, value, count);
}

JMARLIN_EXPORT CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, std::size_t count) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return fill(nullptr, to, value, count);
}

JMARLIN_EXPORT CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, std::size_t count) {
    DRIVER_CALL_OUTSIDE_CAPTURE;
    return fill(nullptr, to, value, count);
}

JMARLIN_EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, CUstream stream) {
    DRIVER_CALL(true);
    return fill(stream, to, value, count);
}

JMARLIN_EXPORT CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, std::size_t count, CUstream stream) {
    DRIVER_CALL(true);
    return fill(stream, to, value, count);
}

JMARLIN_EXPORT CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, std::size_t count, CUstream stream) {
    DRIVER_CALL(true);
    return fill(stream, to, value, count);
}
