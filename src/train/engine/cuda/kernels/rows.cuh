// Kernels that work on rows: embedding, norms, rotation, activations, biases, residual additions.
#pragma once
#include "device.cuh"

// y[row] = tokens[ids[row]] (+ positions[places[row]]), with dropout. One block per row.
extern "C" __global__ void __launch_bounds__(128) embed_forward(const float *__restrict__ tokens, const float *__restrict__ positions, const int *__restrict__ ids,
                                                                const int *__restrict__ places, float *__restrict__ y, int columns, Dropout dropout, const unsigned *__restrict__ stream) {
  const size_t row = blockIdx.x;
  const bool whole = columns % 4 == 0;
  const float *from = tokens + size_t(ids[row]) * columns, *place = positions ? positions + size_t(places[row]) * columns : nullptr;
  Mask mask(dropout, stream);
  FOURS(j, columns) {
    float v[4], w[4] = {0.f, 0.f, 0.f, 0.f};
    load4(from + j, columns - j, whole, v);
    if (place) load4(place + j, columns - j, whole, w);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = (v[e] + w[e]) * mask.factor(row * columns + j + e);
    store4(y + row * columns + j, columns - j, whole, v);
  }
}
KERNEL(embed_forward)

// table[keys[run]] += the rows order[starts[run]] … order[starts[run + 1] − 1] of dy, in that order. One block
// per run of equal keys: the host has sorted the rows by key, so no two blocks write the same row. There are as
// many blocks as rows, because a CUDA graph has the same grid in every step: the runs at the end are empty.
extern "C" __global__ void __launch_bounds__(128) embed_backward(const float *__restrict__ dy, const int *__restrict__ order, const int *__restrict__ starts,
                                                                 const int *__restrict__ keys, float *__restrict__ table, int columns, Dropout dropout, const unsigned *__restrict__ stream) {
  const int first = starts[blockIdx.x], end = starts[blockIdx.x + 1];
  if (first == end) return;
  const bool whole = columns % 4 == 0;
  float *to = table + size_t(keys[blockIdx.x]) * columns;
  Mask mask(dropout, stream);
  FOURS(j, columns) {
    float sum[4];
    load4(to + j, columns - j, whole, sum);
    for (int i = first; i < end; i++) {
      const size_t at = size_t(order[i]) * columns + j;
      float v[4];
      load4(dy + at, columns - j, whole, v);
#pragma unroll
      for (int e = 0; e < 4; e++) sum[e] += v[e] * mask.factor(at + e);
    }
    store4(to + j, columns - j, whole, sum);
  }
}
KERNEL(embed_backward)

// y[i] = x[rows[i]].
extern "C" __global__ void __launch_bounds__(128) gather_rows(const float *__restrict__ x, const int *__restrict__ rows, float *__restrict__ y, int columns) {
  for (int j = threadIdx.x; j < columns; j += blockDim.x) y[size_t(blockIdx.x) * columns + j] = x[size_t(rows[blockIdx.x]) * columns + j];
}
KERNEL(gather_rows)

// RMSNorm, or LayerNorm if `centred`: y = (x − mean) · inverse · w (+ b); `stats` keeps mean and inverse. One
// block per row.
#define NORM_FORWARD(T)                                                                                                               \
  const float *__restrict__ x, const float *__restrict__ w, const float *__restrict__ b, T *__restrict__ y, float *__restrict__ stats, \
      int columns, int centred, float eps
template <class T> __device__ __forceinline__ void norm_forward_of(NORM_FORWARD(T)) {
  SHARED(float, part, 32);
#if PLANTED == INDEX_OVERFLOW
  const int row = blockIdx.x;
  const float *from = x + row * columns;
#else
  const size_t row = blockIdx.x;
  const float *from = x + row * columns;
#endif
  const bool whole = columns % 4 == 0;
  float mean = 0.f, squares = 0.f, v[4];
  if (centred) {
    FOURS(j, columns) {
      load4(from + j, columns - j, whole, v);
      mean += v[0] + v[1] + v[2] + v[3];
    }
    mean = block_sum(mean, part) / columns;
  }
  FOURS(j, columns) {
    load4(from + j, columns - j, whole, v);
#pragma unroll
    for (int e = 0; e < 4; e++) squares += j + e < columns ? (v[e] - mean) * (v[e] - mean) : 0.f;
  }
  const float inverse = rsqrtf(block_sum(squares, part) / columns + eps);
  FOURS(j, columns) {
    float weight[4], bias[4] = {0.f, 0.f, 0.f, 0.f};
    load4(from + j, columns - j, whole, v);
    load4(w + j, columns - j, whole, weight);
    if (b) load4(b + j, columns - j, whole, bias);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = (v[e] - mean) * inverse * weight[e] + bias[e];
    store4(y + size_t(blockIdx.x) * columns + j, columns - j, whole, v);
  }
  if (threadIdx.x == 0) {
    stats[2 * size_t(blockIdx.x)] = mean;
    stats[2 * size_t(blockIdx.x) + 1] = inverse;
  }
}
BOTH(norm_forward, 128, NORM_FORWARD, x, w, b, y, stats, columns, centred, eps)

// dx (+)= inverse · (w dy − mean(w dy) − x̂ mean(w dy x̂)), the first mean only if `centred`. Block i takes
// rows i, i + blocks, … and writes its sums of dy x̂ and of dy to row i of `partial` (blocks, 2 · columns). The
// sums of 2,048 columns at a time stay in registers.
#define NORM_BACKWARD(T)                                                                                                                 \
  const float *__restrict__ x, const float *__restrict__ w, const float *__restrict__ stats, const T *__restrict__ dy, float *__restrict__ dx, \
      float *__restrict__ partial, int rows, int columns, int centred, int add
template <class T> __device__ __forceinline__ void norm_backward_of(NORM_BACKWARD(T)) {
  SHARED(float, part, 32);
  const bool whole = columns % 4 == 0;
  for (int slab = 0; slab < columns; slab += 2048) {
    float dw[4][4], db[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int e = 0; e < 4; e++) dw[i][e] = db[i][e] = 0.f;
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
      const size_t at = size_t(row) * columns;
      const float mean = stats[2 * size_t(row)], inverse = stats[2 * size_t(row) + 1];
      float plain = 0.f, crossed = 0.f, v[4], g[4], weight[4], old[4];
      FOURS(j, columns) {
        load4(x + at + j, columns - j, whole, v);
        load4(dy + at + j, columns - j, whole, g);
        load4(w + j, columns - j, whole, weight);
#pragma unroll
        for (int e = 0; e < 4; e++) {
          plain += g[e] * weight[e];
          crossed += g[e] * weight[e] * (v[e] - mean) * inverse;
        }
      }
      crossed = block_sum(crossed, part) / columns;
      plain = centred ? block_sum(plain, part) / columns : 0.f;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int j = slab + (threadIdx.x + i * 128) * 4;
#if PLANTED == OFF_BY_ONE
        if (j > columns) continue;
#else
        if (j >= columns) continue;
#endif
        load4(x + at + j, columns - j, whole, v);
        load4(dy + at + j, columns - j, whole, g);
        load4(w + j, columns - j, whole, weight);
        if (add) load4(dx + at + j, columns - j, whole, old);
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const float normal = (v[e] - mean) * inverse;
          dw[i][e] += g[e] * normal;
          db[i][e] += g[e];
          v[e] = inverse * (g[e] * weight[e] - plain - normal * crossed) + (add ? old[e] : 0.f);
        }
        store4(dx + at + j, columns - j, whole, v);
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int j = slab + (threadIdx.x + i * 128) * 4;
      if (j >= columns) continue;
      store4(partial + size_t(blockIdx.x) * 2 * columns + j, columns - j, whole, dw[i]);
      store4(partial + (size_t(blockIdx.x) * 2 + 1) * columns + j, columns - j, whole, db[i]);
    }
  }
}
BOTH(norm_backward, 128, NORM_BACKWARD, x, w, stats, dy, dx, partial, rows, columns, centred, add)

// Writes the sums of the columns of x (rows, columns) over rows blockIdx.y, blockIdx.y + gridDim.y · 8, … to
// partial (gridDim.y, columns).
#define COLUMN_PARTIAL(T) const T *__restrict__ x, float *__restrict__ partial, int rows, int columns
template <class T> __device__ __forceinline__ void column_partial_of(COLUMN_PARTIAL(T)) {
  SHARED(float, part, 256);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 32 + lane;
  float sum = 0.f;
  if (j < columns)
    for (int row = blockIdx.y * 8 + warp; row < rows; row += gridDim.y * 8) sum += to_f32(x[size_t(row) * columns + j]);
  part[threadIdx.x] = sum;
  __syncthreads();
  if (warp != 0 || j >= columns) return;
  sum = 0.f;
  for (int w = 0; w < 8; w++) sum += part[w * 32 + lane];
  partial[size_t(blockIdx.y) * columns + j] = sum;
}
BOTH(column_partial, 256, COLUMN_PARTIAL, x, partial, rows, columns)

// first[j] += Σ_b partial[b][j], in order; columns from `split` on are added to second[j − split].
extern "C" __global__ void __launch_bounds__(256) column_sum(const float *__restrict__ partial, float *__restrict__ first, float *__restrict__ second, int blocks, int columns,
                                                             int stride, int split) {
  SHARED(float, part, 256);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, j = blockIdx.x * 32 + lane;
  float sum = 0.f;
  if (j < columns)
    for (int b = warp; b < blocks; b += 8) sum += partial[size_t(b) * stride + j];
  part[threadIdx.x] = sum;
  __syncthreads();
  if (warp != 0 || j >= columns) return;
  sum = 0.f;
  for (int w = 0; w < 8; w++) sum += part[w * 32 + lane];
  float *to = j < split ? first + j : second + (j - split);
  *to += sum;
}
KERNEL(column_sum)

// Adds a bias to every row. One block per row.
#define BIAS_ADD(T) T *__restrict__ x, const float *__restrict__ bias, int columns
template <class T> __device__ __forceinline__ void bias_add_of(BIAS_ADD(T)) {
  const bool whole = columns % 4 == 0;
  T *row = x + size_t(blockIdx.x) * columns;
  FOURS(j, columns) {
    float v[4], b[4];
    load4(row + j, columns - j, whole, v);
    load4(bias + j, columns - j, whole, b);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] += b[e];
    store4(row + j, columns - j, whole, v);
  }
}
BOTH(bias_add, 256, BIAS_ADD, x, bias, columns)

// Rotates adjacent pairs of the first `heads` heads of each row, in place: (a, b) → (a cos − b sin, a sin + b
// cos), or back with `turn` −1. The position is places[row], or row % length without `places`.
#define ROPE(T)                                                                                                                             \
  T *__restrict__ x, const float *__restrict__ cosines, const float *__restrict__ sines, const int *__restrict__ places, int rows, int length, \
      int stride, int heads, int half, float turn
template <class T> __device__ __forceinline__ void rope_of(ROPE(T)) {
  const size_t index = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= size_t(rows) * heads * half) return;
  const int pair = int(index % half);
  const size_t head = index / half % heads, row = index / half / heads;
  const int place = places ? places[row] : int(row % length);
  const float c = cosines[size_t(place) * half + pair], s = turn * sines[size_t(place) * half + pair];
  T *at = x + row * stride + (head * half + pair) * 2;
  const float a = to_f32(at[0]), b = to_f32(at[1]);
  at[0] = narrow<T>(a * c - b * s);
  at[1] = narrow<T>(a * s + b * c);
}
BOTH(rope, 256, ROPE, x, cosines, sines, places, rows, length, stride, heads, half, turn)

// y = silu(gate) · up; a row of x is gate followed by up. One block per row.
#define SWIGLU_FORWARD(T) const T *__restrict__ x, T *__restrict__ y, int hidden
template <class T> __device__ __forceinline__ void swiglu_forward_of(SWIGLU_FORWARD(T)) {
  const bool whole = hidden % 4 == 0;
  const T *row = x + size_t(blockIdx.x) * 2 * hidden;
  FOURS(j, hidden) {
    float gate[4], up[4];
    load4(row + j, hidden - j, whole, gate);
    load4(row + hidden + j, hidden - j, whole, up);
#pragma unroll
    for (int e = 0; e < 4; e++) gate[e] = gate[e] / (1.f + exponential<T>(-gate[e])) * up[e];
    store4(y + size_t(blockIdx.x) * hidden + j, hidden - j, whole, gate);
  }
}
BOTH(swiglu_forward, 256, SWIGLU_FORWARD, x, y, hidden)

// The gradients of gate and up overwrite them in x.
#define SWIGLU_BACKWARD(T) T *__restrict__ x, const T *__restrict__ dy, int hidden
template <class T> __device__ __forceinline__ void swiglu_backward_of(SWIGLU_BACKWARD(T)) {
  const bool whole = hidden % 4 == 0;
  T *row = x + size_t(blockIdx.x) * 2 * hidden;
  FOURS(j, hidden) {
    float gate[4], up[4], g[4];
    load4(row + j, hidden - j, whole, gate);
    load4(row + hidden + j, hidden - j, whole, up);
    load4(dy + size_t(blockIdx.x) * hidden + j, hidden - j, whole, g);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float s = 1.f / (1.f + exponential<T>(-gate[e])), silu = gate[e] * s;
      gate[e] = g[e] * up[e] * (s + silu * (1.f - s));
      up[e] = g[e] * silu;
    }
    store4(row + j, hidden - j, whole, gate);
    store4(row + hidden + j, hidden - j, whole, up);
  }
}
BOTH(swiglu_backward, 256, SWIGLU_BACKWARD, x, dy, hidden)

// y = z Φ(z), z = x + bias; Φ is exact. One block per row.
#define GELU_FORWARD(T) const T *__restrict__ x, const float *__restrict__ bias, T *__restrict__ y, int columns
template <class T> __device__ __forceinline__ void gelu_forward_of(GELU_FORWARD(T)) {
  const bool whole = columns % 4 == 0;
  const size_t row = size_t(blockIdx.x) * columns;
  FOURS(j, columns) {
    float v[4], b[4] = {0.f, 0.f, 0.f, 0.f};
    load4(x + row + j, columns - j, whole, v);
    if (bias) load4(bias + j, columns - j, whole, b);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float z = v[e] + b[e];
      v[e] = 0.5f * z * (1.f + erff(z * 0.70710678f));
    }
    store4(y + row + j, columns - j, whole, v);
  }
}
BOTH(gelu_forward, 256, GELU_FORWARD, x, bias, y, columns)

// The gradient of z overwrites x.
#define GELU_BACKWARD(T) T *__restrict__ x, const float *__restrict__ bias, const T *__restrict__ dy, int columns
template <class T> __device__ __forceinline__ void gelu_backward_of(GELU_BACKWARD(T)) {
  const bool whole = columns % 4 == 0;
  const size_t row = size_t(blockIdx.x) * columns;
  FOURS(j, columns) {
    float v[4], g[4], b[4] = {0.f, 0.f, 0.f, 0.f};
    load4(x + row + j, columns - j, whole, v);
    load4(dy + row + j, columns - j, whole, g);
    if (bias) load4(bias + j, columns - j, whole, b);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float z = v[e] + b[e];
      v[e] = g[e] * (0.5f * (1.f + erff(z * 0.70710678f)) + z * 0.39894228f * exponential<T>(-0.5f * z * z));
    }
    store4(x + row + j, columns - j, whole, v);
  }
}
BOTH(gelu_backward, 256, GELU_BACKWARD, x, bias, dy, columns)

// y = residual + dropout(z + bias). One block per row.
#define RESIDUAL_FORWARD(T) const T *__restrict__ z, const float *__restrict__ bias, const float *__restrict__ residual, float *__restrict__ y, int columns, Dropout dropout, const unsigned *__restrict__ stream
template <class T> __device__ __forceinline__ void residual_forward_of(RESIDUAL_FORWARD(T)) {
  const bool whole = columns % 4 == 0;
  const size_t row = size_t(blockIdx.x) * columns;
  Mask mask(dropout, stream);
  FOURS(j, columns) {
    float v[4], r[4], b[4] = {0.f, 0.f, 0.f, 0.f};
    load4(z + row + j, columns - j, whole, v);
    load4(residual + row + j, columns - j, whole, r);
    if (bias) load4(bias + j, columns - j, whole, b);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] = r[e] + (v[e] + b[e]) * mask.factor(row + j + e);
    store4(y + row + j, columns - j, whole, v);
  }
}
BOTH(residual_forward, 128, RESIDUAL_FORWARD, z, bias, residual, y, columns, dropout, stream)

// dz = dropout(dy), rounded. One block per row.
#define RESIDUAL_BACKWARD(T) const float *__restrict__ dy, T *__restrict__ dz, int columns, Dropout dropout, const unsigned *__restrict__ stream
template <class T> __device__ __forceinline__ void residual_backward_of(RESIDUAL_BACKWARD(T)) {
  const bool whole = columns % 4 == 0;
  const size_t row = size_t(blockIdx.x) * columns;
  Mask mask(dropout, stream);
  FOURS(j, columns) {
    float v[4];
    load4(dy + row + j, columns - j, whole, v);
#pragma unroll
    for (int e = 0; e < 4; e++) v[e] *= mask.factor(row + j + e);
    store4(dz + row + j, columns - j, whole, v);
  }
}
BOTH(residual_backward, 128, RESIDUAL_BACKWARD, dy, dz, columns, dropout, stream)
