#pragma once

#include "cuda_api.hpp"

namespace standin {

bool is_command(const char* name);

CUresult run_command(const char* command, CUdeviceptr* address, std::size_t* size);

}  // namespace standin
