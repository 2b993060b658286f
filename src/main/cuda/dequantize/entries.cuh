// ENTRIES(f16_sym_g64, Half, Symmetric4, 1): an entry point of the dequantization kernel, with the type, what a weight is and the
// scale rows of a block.
#pragma once

#include <cstddef>

#include "dequantize.cuh"
#include "finish.cuh"

#define ENTRIES(name, T, Form, scale_rows)                                                                 \
    extern "C" __global__ void __launch_bounds__(256)                                                      \
        dequantize_##name(const __grid_constant__ jmarlin::DequantizeArgs args) {                          \
        jmarlin::dequantize_matrix<jmarlin::T, jmarlin::Form, scale_rows>(args);                           \
    }

// What the host checks before it trusts an image: version; of both arguments the size, and the offset of every field in order.
#define JMARLIN_DEQUANTIZE_ABI                                                                             \
    {3, sizeof(::jmarlin::DequantizeArgs),                                                                 \
     offsetof(::jmarlin::DequantizeArgs, codes), offsetof(::jmarlin::DequantizeArgs, scales),              \
     offsetof(::jmarlin::DequantizeArgs, zeros), offsetof(::jmarlin::DequantizeArgs, factors),             \
     offsetof(::jmarlin::DequantizeArgs, w), offsetof(::jmarlin::DequantizeArgs, ldw),                     \
     offsetof(::jmarlin::DequantizeArgs, n), offsetof(::jmarlin::DequantizeArgs, k),                       \
     offsetof(::jmarlin::DequantizeArgs, k_blocks), offsetof(::jmarlin::DequantizeArgs, scale_rows),       \
     offsetof(::jmarlin::DequantizeArgs, group_shift), sizeof(::jmarlin::FinishArgs),                      \
     offsetof(::jmarlin::FinishArgs, sums), offsetof(::jmarlin::FinishArgs, bias),                         \
     offsetof(::jmarlin::FinishArgs, c), offsetof(::jmarlin::FinishArgs, epilogue.residual),               \
     offsetof(::jmarlin::FinishArgs, epilogue.row_factors), offsetof(::jmarlin::FinishArgs, epilogue.ldr), \
     offsetof(::jmarlin::FinishArgs, epilogue.steps), offsetof(::jmarlin::FinishArgs, lds),                \
     offsetof(::jmarlin::FinishArgs, ldc), offsetof(::jmarlin::FinishArgs, m),                             \
     offsetof(::jmarlin::FinishArgs, n)}
