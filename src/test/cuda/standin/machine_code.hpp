#pragma once

#include <string>

#include "cuda_api.hpp"

namespace standin {

/** Whether a driver of the settings' version loads an ELF image of machine code on the settings' device: success, or how it refuses. */
CUresult check_machine_code(const char* elf);

/** What the image says of itself, as PTX that the machine can open: its initialised variables and its kernels, which store to address 0. */
std::string describe_machine_code(const char* elf);

}  // namespace standin
