// Attention of new positions over cached ones, for sampling; f32.
#pragma once
#include "attention.cuh"

// Appends the keys and values of new rows to the cache (sequences, capacity, kv_heads · width): row r goes to
// position places[r] of sequence owners[r].
extern "C" __global__ void __launch_bounds__(128) cache_append(const float *__restrict__ qkv, float *__restrict__ keys, float *__restrict__ values, const int *__restrict__ owners,
                                                               const int *__restrict__ places, int capacity, Attention a) {
  const int row = blockIdx.x, columns = a.kv_heads * a.width;
  const float *from = qkv + size_t(row) * stride_of(a) + a.heads * a.width;
  const size_t to = (size_t(owners[row]) * capacity + places[row]) * columns;
  for (int j = threadIdx.x; j < columns; j += blockDim.x) {
    keys[to + j] = from[j];
    values[to + j] = from[columns + j];
  }
}
KERNEL(cache_append)

// One block per row and head: each of four warps attends to every fourth position up to places[row]; then the
// four parts are combined in order.
extern "C" __global__ void __launch_bounds__(128) attention_cached(const float *__restrict__ qkv, const float *__restrict__ keys, const float *__restrict__ values,
                                                                   const int *__restrict__ owners, const int *__restrict__ places, float *__restrict__ y, int capacity, Attention a) {
  SHARED(float, tops, 4);
  SHARED(float, sums, 4);
  constexpr int OWN = 8, WIDEST = 32 * OWN;  // numbers of a head handled by one lane
  SHARED(float, parts, 4 * WIDEST);
  const int row = blockIdx.x / a.heads, head = blockIdx.x % a.heads, warp = threadIdx.x >> 5, lane = threadIdx.x & 31, columns = a.kv_heads * a.width;
  const float *q = qkv + size_t(row) * stride_of(a) + head * a.width;
  const size_t base = size_t(owners[row]) * capacity * columns + head / (a.heads / a.kv_heads) * a.width;
  float query[OWN], out[OWN], most = -INFINITY, sum = 0.f;
#pragma unroll
  for (int e = 0; e < OWN; e++) out[e] = 0.f;
#pragma unroll
  for (int e = 0; e < OWN; e++) query[e] = lane + 32 * e < a.width ? q[lane + 32 * e] * a.scale : 0.f;
  for (int j = warp; j <= places[row]; j += 4) {
    const size_t at = base + size_t(j) * columns;
    float s = 0.f;
#pragma unroll
    for (int e = 0; e < OWN; e++) s += lane + 32 * e < a.width ? query[e] * keys[at + lane + 32 * e] : 0.f;
    s = warp_sum(s);
    const float top = fmaxf(most, s), shrink = expf(most - top), p = expf(s - top);
    most = top;
    sum = sum * shrink + p;
#pragma unroll
    for (int e = 0; e < OWN; e++) out[e] = out[e] * shrink + (lane + 32 * e < a.width ? p * values[at + lane + 32 * e] : 0.f);
  }
  if (lane == 0) {
    tops[warp] = most;
    sums[warp] = sum;
  }
#pragma unroll
  for (int e = 0; e < OWN; e++) parts[warp * WIDEST + lane + 32 * e] = out[e];
  __syncthreads();
  const float top = fmaxf(fmaxf(tops[0], tops[1]), fmaxf(tops[2], tops[3]));
  for (int d = threadIdx.x; d < a.width; d += blockDim.x) {
    float whole = 0.f, mixed = 0.f;
    for (int w = 0; w < 4; w++) {
      const float share = tops[w] == -INFINITY ? 0.f : expf(tops[w] - top);
      whole += share * sums[w];
      mixed += share * parts[w * WIDEST + d];
    }
    y[size_t(row) * a.heads * a.width + head * a.width + d] = mixed / whole;
  }
}
KERNEL(attention_cached)
