// Entry points of the dequantization kernel for 2:4 sparse weights, all four of every four k: as those of dequantize.cu, with the names of
// striped/striped_sp24.cu. It needs no instruction for sparse products.
// ptx: 7.4
#include "entries.cuh"

ENTRIES(f16_sp24_g128, Half, SparseSymmetric4, 1)
ENTRIES(f16_sp24_g64, Half, SparseSymmetric4, 2)
ENTRIES(bf16_sp24_g128, Bfloat16, SparseSymmetric4, 1)
ENTRIES(bf16_sp24_g64, Bfloat16, SparseSymmetric4, 2)

extern "C" __device__ const jmarlin::u32 jmarlin_dequantize_sp24_abi[] = JMARLIN_DEQUANTIZE_ABI;
