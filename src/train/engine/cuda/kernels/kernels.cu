// All kernels of the engine, in one translation unit.
#include "rows.cuh"
#include "attention_mma.cuh"
#include "cached.cuh"
#include "head.cuh"
#include "optimizer.cuh"
