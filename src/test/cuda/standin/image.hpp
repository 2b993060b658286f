#pragma once

#include <memory>

#include "../machine/machine.hpp"
#include "cuda_api.hpp"

namespace standin {

/** The program in the bytes that a module is loaded from, which end with a zero if they are PTX; or why it is none for these devices. */
CUresult open_image(const void* image, std::shared_ptr<const jmarlin::machine::Program>& program);

}  // namespace standin
