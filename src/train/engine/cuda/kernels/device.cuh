// Shared by all kernels: types, reductions in a fixed order, counter-based dropout. nvcc compiles these files
// for GPUs; for tests, a C++ compiler compiles the same files (tests/gpu/cuda_on_cpu.h then replaces CUDA).
//
// Every sum has a fixed order and nothing is atomic, so results do not depend on the order in which blocks run.
#pragma once
#ifdef __CUDACC__
#include <cuda_bf16.h>
typedef __nv_bfloat16 bf16;
#define SHARED(type, name, n) __shared__ __align__(16) type name[n]
#define KERNEL(name)
__device__ __forceinline__ float to_f32(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ bf16 to_bf16(float x) { return __float2bfloat16_rn(x); }
// D += A · B, 16 × 16 by 16 × 8; fragments as defined in the PTX manual under "mma.m16n8k16".
__device__ __forceinline__ void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
#include "cuda_on_cpu.h"
#endif

// Errors that test the tests: `-DPLANTED=n` inserts error n, which the tests must find.
#ifndef PLANTED
#define PLANTED 0
#endif
#define MISSING_BARRIER 1
#define OFF_BY_ONE 2
#define EARLY_EXIT 3
#define UNINITIALISED_READ 4
#define WRONG_FRAGMENT 5
#define INDEX_OVERFLOW 6

typedef unsigned long long u64;
#define EVERY_LANE 0xffffffffu

// Defines kernels for f32 and bf16 from `name_of<T>`; `PARAMETERS(T)` is the list of their parameters.
#define BOTH(name, threads, PARAMETERS, ...)                                                                                       \
  extern "C" __global__ void __launch_bounds__(threads) name##_f32(PARAMETERS(float)) { name##_of<float>(__VA_ARGS__); }           \
  KERNEL(name##_f32)                                                                                                               \
  extern "C" __global__ void __launch_bounds__(threads) name##_bf16(PARAMETERS(bf16)) { name##_of<bf16>(__VA_ARGS__); }            \
  KERNEL(name##_bf16)

__device__ __forceinline__ float to_f32(float x) { return x; }
template <class T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) { return to_bf16(x); }

// Accurate to the last bits for f32; the fast function where bf16 rounds anyway.
template <class T> __device__ __forceinline__ float exponential(float x) { return expf(x); }
template <> __device__ __forceinline__ float exponential<bf16>(float x) { return __expf(x); }

// Four neighbours of a row at `p`, of which `left` exist. `whole`: the length of the row is divisible by four,
// so that they are aligned.
template <class T> __device__ __forceinline__ void load4(const T *p, int left, bool whole, float (&v)[4]);
template <> __device__ __forceinline__ void load4<float>(const float *p, int left, bool whole, float (&v)[4]) {
  if (whole) {
    const float4 q = *reinterpret_cast<const float4 *>(p);
    v[0] = q.x; v[1] = q.y; v[2] = q.z; v[3] = q.w;
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = e < left ? p[e] : 0.f;
  }
}
template <> __device__ __forceinline__ void load4<bf16>(const bf16 *p, int left, bool whole, float (&v)[4]) {
  if (whole) {
    union { uint2 words; bf16 h[4]; } q;
    q.words = *reinterpret_cast<const uint2 *>(p);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = to_f32(q.h[e]);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = e < left ? to_f32(p[e]) : 0.f;
  }
}
template <class T> __device__ __forceinline__ void store4(T *p, int left, bool whole, const float (&v)[4]);
template <> __device__ __forceinline__ void store4<float>(float *p, int left, bool whole, const float (&v)[4]) {
  if (whole) {
    float4 q;
    q.x = v[0]; q.y = v[1]; q.z = v[2]; q.w = v[3];
    *reinterpret_cast<float4 *>(p) = q;
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++)
      if (e < left) p[e] = v[e];
  }
}
template <> __device__ __forceinline__ void store4<bf16>(bf16 *p, int left, bool whole, const float (&v)[4]) {
  if (whole) {
    union { uint2 words; bf16 h[4]; } q;
#pragma unroll
    for (int e = 0; e < 4; e++) q.h[e] = to_bf16(v[e]);
    *reinterpret_cast<uint2 *>(p) = q.words;
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++)
      if (e < left) p[e] = to_bf16(v[e]);
  }
}
// Iterates over a row of `columns`, four at a time, with all threads of the block.
#define FOURS(j, columns) for (int j = threadIdx.x * 4; j < (columns); j += blockDim.x * 4)

template <class V> __device__ __forceinline__ V warp_sum(V v) {
#pragma unroll
  for (int k = 16; k; k >>= 1) v += __shfl_xor_sync(EVERY_LANE, v, k);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int k = 16; k; k >>= 1) v = fmaxf(v, __shfl_xor_sync(EVERY_LANE, v, k));
  return v;
}
// Sum over the block, returned to every thread. `part` has room for 32 numbers and can be reused immediately.
template <class V> __device__ __forceinline__ V block_sum(V v, V *part) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  v = warp_sum(v);
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < warps ? part[lane] : V(0);
#if PLANTED != MISSING_BARRIER
  __syncthreads();
#endif
  return warp_sum(v);
}
__device__ __forceinline__ float block_max(float v, float *part) {
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, warps = blockDim.x >> 5;
  v = warp_max(v);
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < warps ? part[lane] : -INFINITY;
  __syncthreads();
  return warp_max(v);
}

// The masks of src/train/engine/dropout.rs, computed where they are used and never stored. With `scale` 0,
// nothing is dropped. In a CUDA graph, key and upper counter words, which differ from step to step, are read from
// `stream` (four words); it is null elsewhere.
struct Dropout {
  unsigned key[2], high[2], threshold;
  float scale;
};
struct Mask {
  Dropout dropout;
  u64 block;
  unsigned words[4];
  __device__ __forceinline__ Mask(const Dropout &d, const unsigned *stream) : dropout(d), block(~0ull), words{} {
    if (!stream || d.scale == 0.f) return;
    dropout.key[0] = stream[0];
    dropout.key[1] = stream[1];
    dropout.high[0] = stream[2];
    dropout.high[1] = stream[3];
  }
  // Philox4x32-10 (crates/rng).
  __device__ __forceinline__ void draw(u64 at) {
    unsigned c0 = unsigned(at), c1 = unsigned(at >> 32), c2 = dropout.high[0], c3 = dropout.high[1];
    unsigned k0 = dropout.key[0], k1 = dropout.key[1];
#pragma unroll
    for (int round = 0; round < 10; round++) {
      const u64 p0 = u64(0xD2511F53u) * c0, p1 = u64(0xCD9E8D57u) * c2;
      c0 = unsigned(p1 >> 32) ^ c1 ^ k0;
      c1 = unsigned(p1);
      c2 = unsigned(p0 >> 32) ^ c3 ^ k1;
      c3 = unsigned(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    words[0] = c0; words[1] = c1; words[2] = c2; words[3] = c3;
    block = at;
  }
  // The factor of element `index`.
  __device__ __forceinline__ float factor(u64 index) {
    if (dropout.scale == 0.f) return 1.f;
    if (index >> 2 != block) draw(index >> 2);
    const unsigned at = unsigned(index) & 3;
    const unsigned word = at < 2 ? (at == 0 ? words[0] : words[1]) : (at == 2 ? words[2] : words[3]);
    return word >= dropout.threshold ? dropout.scale : 0.f;
  }
};
