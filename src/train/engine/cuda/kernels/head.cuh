// Logits of the output matrix: losses and their gradients, and the scores of an evaluation. One block per row.
#pragma once
#include "device.cuh"

// Maximum, Σ exp(f − maximum) and Σ f² of a row.
template <class T> __device__ __forceinline__ void row_sums(const T *f, int classes, bool whole, float *part, float &most, float &sum, float &squares) {
  float m = -INFINITY, z = 0.f, q = 0.f, v[4];
  FOURS(j, classes) {
    load4(f + j, classes - j, whole, v);
    float top = m;
#pragma unroll
    for (int e = 0; e < 4; e++) top = j + e < classes ? fmaxf(top, v[e]) : top;
    z *= exponential<T>(m - top);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      z += j + e < classes ? exponential<T>(v[e] - top) : 0.f;
      q += v[e] * v[e];
    }
    m = top;
  }
  most = block_max(m, part);
  // A thread without classes has seen only −∞.
  sum = block_sum(m == -INFINITY ? 0.f : z * exponential<T>(m - most), part);
  squares = block_sum(q, part);
}

// Cross-entropy and square term of each row, by the formula of src/train/engine/loss.rs; the gradient of their
// sum times `*factor` overwrites the logits, and no probability is stored. Rows whose target is below 0 do not
// count. `correct` is the factor of the right class if the absolute value of its logit is below `near`;
// otherwise it gets the factor of the wrong classes.
struct Formula {
  int cross_entropy, square, on_probabilities;
  float wrong, correct, near, target;
};
#define HEAD_ROW(T) T *__restrict__ logits, const int *__restrict__ targets, float *__restrict__ losses, int classes, int with_gradient, Formula formula, const float *__restrict__ factor
template <class T> __device__ __forceinline__ void head_row_of(HEAD_ROW(T)) {
  SHARED(float, part, 32);
  const bool whole = classes % 4 == 0;
  T *f = logits + size_t(blockIdx.x) * classes;
  const int y = targets[blockIdx.x];
  float v[4];
  if (y < 0) {
    v[0] = v[1] = v[2] = v[3] = 0.f;
    FOURS(j, classes) store4(f + j, classes - j, whole, v);
#if PLANTED == UNINITIALISED_READ
    return;
#endif
    if (threadIdx.x == 0) losses[2 * size_t(blockIdx.x)] = losses[2 * size_t(blockIdx.x) + 1] = 0.f;
    return;
  }
  float most, sum, squares;
  row_sums(f, classes, whole, part, most, sum, squares);
  const float log_sum = most + logf(sum), fy = to_f32(f[y]), py = exponential<T>(fy - log_sum), goal = formula.target;
  const float correct = fabsf(formula.on_probabilities ? py : fy) < formula.near ? formula.correct : formula.wrong;
  float mean = 0.f;  // Σ p e, where e are the gradients with respect to the probabilities
  if (formula.square && formula.on_probabilities) {
    squares = 0.f;
    FOURS(j, classes) {
      load4(f + j, classes - j, whole, v);
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const float p = j + e < classes ? exponential<T>(v[e] - log_sum) : 0.f;
        squares += p * p;
      }
    }
    squares = block_sum(squares, part);
    mean = 2.f * formula.wrong * (squares - py * py) + 2.f * correct * (py - goal) * py;
  }
  if (threadIdx.x == 0) {
    const float s = formula.on_probabilities ? py : fy;
    losses[2 * size_t(blockIdx.x)] = formula.cross_entropy ? log_sum - fy : 0.f;
    losses[2 * size_t(blockIdx.x) + 1] = formula.square ? formula.wrong * (squares - s * s) + correct * (s - goal) * (s - goal) : 0.f;
  }
  if (!with_gradient) return;
  const float scale = *factor;
  __syncthreads();  // all threads have read f[y]
  FOURS(j, classes) {
    load4(f + j, classes - j, whole, v);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const bool right = j + e == y;
      const float p = exponential<T>(v[e] - log_sum), s = formula.on_probabilities ? p : v[e];
      float g = formula.cross_entropy ? p - (right ? 1.f : 0.f) : 0.f;
      if (formula.square) {
        const float gradient = right ? 2.f * correct * (s - goal) : 2.f * formula.wrong * s;
        g += formula.on_probabilities ? p * (gradient - mean) : gradient;
      }
      v[e] = g * scale;
    }
    store4(f + j, classes - j, whole, v);
  }
}
BOTH(head_row, 256, HEAD_ROW, logits, targets, losses, classes, with_gradient, formula, factor)

// totals[0] and [1] (+)= the sums of the two parts of `losses` (rows, 2). One block.
extern "C" __global__ void __launch_bounds__(256) loss_sum(const float *__restrict__ losses, double *__restrict__ totals, int rows, int add) {
  SHARED(double, part, 32);
  double ce = 0., square = 0.;
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    ce += losses[2 * size_t(row)];
    square += losses[2 * size_t(row) + 1];
  }
  ce = block_sum(ce, part);
  square = block_sum(square, part);
  if (threadIdx.x == 0) {
    totals[0] = (add ? totals[0] : 0.) + ce;
    totals[1] = (add ? totals[1] : 0.) + square;
  }
}
KERNEL(loss_sum)

// Scores of one target per row (src/train/engine/score.rs): log-likelihood, rank, confidence, clipped-linear,
// then one for each temperature.
extern "C" __global__ void __launch_bounds__(256) score_row(const float *__restrict__ logits, const int *__restrict__ targets, const float *__restrict__ temperatures,
                                                            float *__restrict__ scores, int classes, int count, float clip) {
  SHARED(float, part, 32);
  const bool whole = classes % 4 == 0;
  const float *f = logits + size_t(blockIdx.x) * classes;
  float *to = scores + size_t(blockIdx.x) * (4 + count), most, sum, squares, v[4];
  const int y = targets[blockIdx.x];
  const float fy = f[y];
  row_sums(f, classes, whole, part, most, sum, squares);
  float before = 0.f, clipped = 0.f;
  FOURS(j, classes) {
    load4(f + j, classes - j, whole, v);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (j + e >= classes) continue;
      before += v[e] > fy || (v[e] == fy && j + e < y) ? 1.f : 0.f;
      clipped += fmaxf(v[e], clip);
    }
  }
  before = block_sum(before, part);
  clipped = block_sum(clipped, part);
  if (threadIdx.x == 0) {
    to[0] = fy - most - logf(sum);
    to[1] = before;
    to[2] = 1.f / sum;
    to[3] = logf(fmaxf(fy, clip) / clipped);
  }
  for (int t = 0; t < count; t++) {
    const float temperature = temperatures[t];
    float z = 0.f;
    FOURS(j, classes) {
      load4(f + j, classes - j, whole, v);
#pragma unroll
      for (int e = 0; e < 4; e++) z += j + e < classes ? expf((v[e] - most) / temperature) : 0.f;
    }
    z = block_sum(z, part);
    if (threadIdx.x == 0) to[4 + t] = (fy - most) / temperature - logf(z);
  }
}
KERNEL(score_row)
