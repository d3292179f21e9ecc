// Gradient norm, clipping and AdamW for all parameters at once, and copies of numbers.
#pragma once
#include "device.cuh"

// A piece of a parameter: one block's share of the work.
struct Piece {
  float *value, *first, *second, *gradient;
  bf16 *low;  // the copy read by products in bf16; 0 for none
  int count, decays;
};

// partial[block] = Σ g² of a piece.
extern "C" __global__ void __launch_bounds__(256) square_sum(const Piece *__restrict__ pieces, double *__restrict__ partial) {
  SHARED(double, part, 32);
  const float *g = pieces[blockIdx.x].gradient;
  const int count = pieces[blockIdx.x].count;
  double sum = 0.;
  // 16 squares are added in f32 before each addition in f64, which is slow on some GPUs.
  for (int from = threadIdx.x; from < count; from += blockDim.x * 16) {
    float few = 0.f;
#pragma unroll
    for (int i = 0; i < 16; i++) {
      const int j = from + i * int(blockDim.x);
      const float v = j < count ? g[j] : 0.f;
      few += v * v;
    }
    sum += few;
  }
  sum = block_sum(sum, part);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
KERNEL(square_sum)

// found[0] = the norm, found[1] = the clipping factor: min(1, limit / (norm + 1e-6)), or 1 if the limit is
// below 0. One block.
extern "C" __global__ void __launch_bounds__(256) clip_factor(const double *__restrict__ partial, double *__restrict__ found, int count, double limit) {
  SHARED(double, part, 32);
  double sum = 0.;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += partial[i];
  const double norm = sqrt(block_sum(sum, part));
  if (threadIdx.x == 0) {
    const double factor = limit < 0. ? 1. : limit / (norm + 1e-6);
    found[0] = norm;
    found[1] = factor < 1. ? factor : 1.;
  }
}
KERNEL(clip_factor)

// The numbers of a step (AdamwScalars in src/train/engine/ops.rs). `root`: 1 / sqrt(1 − β₂ᵗ).
struct Adamw {
  float beta1, beta2, rest1, rest2, eps, shrink, rate, root;
};
// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← shrink θ − rate m / (sqrt(v) root + ε); g ← 0. One block
// per piece.
extern "C" __global__ void __launch_bounds__(256) adamw(const Piece *__restrict__ pieces, const double *__restrict__ clip, const Adamw *__restrict__ numbers) {
  const Adamw step = *numbers;
  const Piece piece = pieces[blockIdx.x];
  const float scale = float(clip[1]), shrink = piece.decays ? step.shrink : 1.f;
  const bool whole = piece.count % 4 == 0;
  FOURS(j, piece.count) {
    const int left = piece.count - j;
    float p[4], m[4], v[4], g[4];
    load4(piece.value + j, left, whole, p);
    load4(piece.first + j, left, whole, m);
    load4(piece.second + j, left, whole, v);
    load4(piece.gradient + j, left, whole, g);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float gradient = scale * g[e];
      m[e] = step.beta1 * m[e] + step.rest1 * gradient;
      v[e] = step.beta2 * v[e] + step.rest2 * gradient * gradient;
      p[e] = shrink * p[e] - step.rate * m[e] / (sqrtf(v[e]) * step.root + step.eps);
      g[e] = 0.f;
    }
    store4(piece.value + j, left, whole, p);
    store4(piece.first + j, left, whole, m);
    store4(piece.second + j, left, whole, v);
    store4(piece.gradient + j, left, whole, g);
    if (piece.low) store4(piece.low + j, left, whole, p);
  }
}
KERNEL(adamw)

// to[i] = from[i], rounded.
extern "C" __global__ void __launch_bounds__(256) to_low(const float *__restrict__ from, bf16 *__restrict__ to, u64 count) {
  const u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[i] = to_bf16(from[i]);
}
KERNEL(to_low)

// to[i] += from[i].
extern "C" __global__ void __launch_bounds__(256) add_to(float *__restrict__ to, const float *__restrict__ from, u64 count) {
  const u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) to[i] += from[i];
}
KERNEL(add_to)
