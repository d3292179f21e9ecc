// Causal attention in bf16 on tensor cores: four warps per block, each with 16 of the block's 64 rows.
#pragma once
#include "attention.cuh"

template <int WIDTH> struct Tensor {
  static constexpr int ROWS = 64, LD = WIDTH + 8, THREADS = 128, STEPS = WIDTH / 16, OUT = WIDTH / 8;
  // Rows of the other side at a time, limited by shared memory.
  static constexpr int FORWARD = 64, QUERIES = 32, KEYS = WIDTH > 64 ? 16 : 32;
};
__device__ __forceinline__ unsigned word(const bf16 *at) { return *reinterpret_cast<const unsigned *>(at); }
__device__ __forceinline__ unsigned pair(bf16 low, bf16 high) {
  union { bf16 h[2]; unsigned u; } x;
  x.h[0] = low;
  x.h[1] = high;
  return x.u;
}
__device__ __forceinline__ unsigned pair(float low, float high) { return pair(to_bf16(low), to_bf16(high)); }
// A: 16 rows of 16 numbers, row-major.
__device__ __forceinline__ void load_a(unsigned (&a)[4], const bf16 *at, int ld) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  a[0] = word(at + g * ld + 2 * t);
#if PLANTED == WRONG_FRAGMENT
  a[2] = word(at + (g + 8) * ld + 2 * t);
  a[1] = word(at + g * ld + 2 * t + 8);
#else
  a[1] = word(at + (g + 8) * ld + 2 * t);
  a[2] = word(at + g * ld + 2 * t + 8);
#endif
  a[3] = word(at + (g + 8) * ld + 2 * t + 8);
}
// B, 16 × 8, from 8 rows of 16 numbers: the columns of B are rows in memory.
__device__ __forceinline__ void load_b_rows(unsigned (&b)[2], const bf16 *at, int ld) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  b[0] = word(at + g * ld + 2 * t);
  b[1] = word(at + g * ld + 2 * t + 8);
}
// B from 16 rows of 8 numbers, in the layout of memory.
__device__ __forceinline__ void load_b_columns(unsigned (&b)[2], const bf16 *at, int ld) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  b[0] = pair(at[2 * t * ld + g], at[(2 * t + 1) * ld + g]);
  b[1] = pair(at[(2 * t + 8) * ld + g], at[(2 * t + 9) * ld + g]);
}
template <int N> __device__ __forceinline__ void clear(float (&x)[N][4]) {
#pragma unroll
  for (int n = 0; n < N; n++) x[n][0] = x[n][1] = x[n][2] = x[n][3] = 0.f;
}
// s = A · (rows of `tile`)ᵀ, with A given as fragments.
template <int WIDTH, int N> __device__ __forceinline__ void times_rows(float (&s)[N][4], const unsigned (&a)[WIDTH / 16][4], const bf16 *tile) {
  clear(s);
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int c = 0; c < WIDTH / 16; c++) {
      unsigned b[2];
      load_b_rows(b, tile + n * 8 * Tensor<WIDTH>::LD + c * 16, Tensor<WIDTH>::LD);
      mma_16x8x16(s[n], a[c], b);
    }
}
// out += P · (rows of `tile`): the accumulators of two neighbouring parts of P are one fragment A.
template <int WIDTH, int N> __device__ __forceinline__ void times_columns(float (&out)[WIDTH / 8][4], const float (&p)[N][4], const bf16 *tile) {
#pragma unroll
  for (int c = 0; c < N / 2; c++) {
    const unsigned a[4] = {pair(p[2 * c][0], p[2 * c][1]), pair(p[2 * c][2], p[2 * c][3]), pair(p[2 * c + 1][0], p[2 * c + 1][1]), pair(p[2 * c + 1][2], p[2 * c + 1][3])};
#pragma unroll
    for (int n = 0; n < WIDTH / 8; n++) {
      unsigned b[2];
      load_b_columns(b, tile + c * 16 * Tensor<WIDTH>::LD + n * 8, Tensor<WIDTH>::LD);
      mma_16x8x16(out[n], a, b);
    }
  }
}
// Writes rows g and g + 8 of a warp's accumulators to global memory, each multiplied by a factor.
template <int WIDTH> __device__ __forceinline__ void store_rows(bf16 *to, const float (&x)[WIDTH / 8][4], int row, int length, size_t stride, int width, float first, float second) {
  const int t = threadIdx.x & 3;
#pragma unroll
  for (int n = 0; n < WIDTH / 8; n++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int at = row + (e >= 2 ? 8 : 0), d = n * 8 + t * 2 + (e & 1);
      if (at < length && d < width) to[size_t(at) * stride + d] = to_bf16(x[n][e] * (e >= 2 ? second : first));
    }
}

template <int WIDTH> __device__ __forceinline__ void tensor_forward(ATTENTION_FORWARD(bf16)) {
  typedef Tensor<WIDTH> P;
  SHARED(bf16, keys, P::FORWARD *P::LD);
  SHARED(bf16, values, P::FORWARD *P::LD);
  const Place at(a, tiles, a.heads);
  const int stride = stride_of(a), first = (tiles - 1 - at.tile) * P::ROWS, warp = threadIdx.x >> 5, t = threadIdx.x & 3;
  const int row = first + warp * 16 + ((threadIdx.x & 31) >> 2), kv = at.head / (a.heads / a.kv_heads);
  const bf16 *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + kv) * a.width, *v = k + a.kv_heads * a.width;
  unsigned query[P::STEPS][4];  // loaded through the shared memory of the keys
  load_fast<P::ROWS, WIDTH, P::LD, P::THREADS>(keys, q + at.head * a.width, first, a.length, stride, a.width);
  __syncthreads();
#pragma unroll
  for (int c = 0; c < P::STEPS; c++) load_a(query[c], keys + warp * 16 * P::LD + c * 16, P::LD);
  float out[P::OUT][4], most[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f};
  clear(out);
  Mask mask(dropout, stream);
  for (int from = 0; from <= first; from += P::FORWARD) {
    __syncthreads();  // the last tile is no longer read
    load_fast<P::FORWARD, WIDTH, P::LD, P::THREADS>(keys, k, from, a.length, stride, a.width);
    load_fast<P::FORWARD, WIDTH, P::LD, P::THREADS>(values, v, from, a.length, stride, a.width);
    __syncthreads();
    float s[P::FORWARD / 8][4], top[2] = {most[0], most[1]};
    times_rows<WIDTH>(s, query, keys);
#pragma unroll
    for (int n = 0; n < P::FORWARD / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int j = from + n * 8 + t * 2 + (e & 1);
        s[n][e] = j <= row + (e >= 2 ? 8 : 0) ? s[n][e] * a.scale : -INFINITY;
        top[e >> 1] = fmaxf(top[e >> 1], s[n][e]);
      }
    float shrink[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      top[half] = four_max(top[half]);
      shrink[half] = __expf(most[half] - top[half]);
      most[half] = top[half];
      sum[half] *= shrink[half];
    }
#pragma unroll
    for (int n = 0; n < P::OUT; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) out[n][e] *= shrink[e >> 1];
#pragma unroll
    for (int n = 0; n < P::FORWARD / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int i = row + (e >= 2 ? 8 : 0), j = from + n * 8 + t * 2 + (e & 1);
        s[n][e] = __expf(s[n][e] - most[e >> 1]);
        sum[e >> 1] += s[n][e];
        if (j <= i && i < a.length) s[n][e] *= mask.factor(probability(a, at, at.head, i, j));
      }
    times_columns<WIDTH>(out, s, values);
  }
  sum[0] = four_sum(sum[0]);
  sum[1] = four_sum(sum[1]);
  bf16 *to = y + (size_t(at.sequence) * a.length * a.heads + at.head) * a.width;
  store_rows<WIDTH>(to, out, row, a.length, size_t(a.heads) * a.width, a.width, 1.f / sum[0], 1.f / sum[1]);
  float *log_sums = lse + (size_t(at.sequence) * a.heads + at.head) * a.length;
  if (t == 0 && row < a.length) log_sums[row] = most[0] + logf(sum[0]);
  if (t == 0 && row + 8 < a.length) log_sums[row + 8] = most[1] + logf(sum[1]);
}

template <int WIDTH> __device__ __forceinline__ void tensor_queries(ATTENTION_BACKWARD(bf16)) {
  typedef Tensor<WIDTH> P;
  SHARED(bf16, tile, 2 * P::QUERIES *P::LD);  // keys, then values; at first the queries, then the gradients
  bf16 *keys = tile, *values = tile + P::QUERIES * P::LD;
  const Place at(a, tiles, a.heads);
  const int stride = stride_of(a), first = (tiles - 1 - at.tile) * P::ROWS, warp = threadIdx.x >> 5, t = threadIdx.x & 3, dim = a.heads * a.width;
  const int row = first + warp * 16 + ((threadIdx.x & 31) >> 2), kv = at.head / (a.heads / a.kv_heads);
  const bf16 *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + kv) * a.width, *v = k + a.kv_heads * a.width;
  unsigned query[P::STEPS][4], gradient[P::STEPS][4];
  load_fast<P::ROWS, WIDTH, P::LD, P::THREADS>(tile, q + at.head * a.width, first, a.length, stride, a.width);
  __syncthreads();
#pragma unroll
  for (int c = 0; c < P::STEPS; c++) load_a(query[c], tile + warp * 16 * P::LD + c * 16, P::LD);
  __syncthreads();
  load_fast<P::ROWS, WIDTH, P::LD, P::THREADS>(tile, dy + size_t(at.sequence) * a.length * dim + at.head * a.width, first, a.length, dim, a.width);
  __syncthreads();
#pragma unroll
  for (int c = 0; c < P::STEPS; c++) load_a(gradient[c], tile + warp * 16 * P::LD + c * 16, P::LD);
  const size_t known = (size_t(at.sequence) * a.heads + at.head) * a.length;
  float log_sum[2], own[2], out[P::OUT][4];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const bool there = row + 8 * half < a.length;
    log_sum[half] = there ? lse[known + row + 8 * half] : 0.f;
    own[half] = there ? delta[known + row + 8 * half] : 0.f;
  }
  clear(out);
  Mask mask(dropout, stream);
  for (int from = 0; from < first + P::ROWS && from < a.length; from += P::QUERIES) {
    __syncthreads();
    load_fast<P::QUERIES, WIDTH, P::LD, P::THREADS>(keys, k, from, a.length, stride, a.width);
    load_fast<P::QUERIES, WIDTH, P::LD, P::THREADS>(values, v, from, a.length, stride, a.width);
    __syncthreads();
    float s[P::QUERIES / 8][4], d[P::QUERIES / 8][4];
    times_rows<WIDTH>(s, query, keys);
    times_rows<WIDTH>(d, gradient, values);
#pragma unroll
    for (int n = 0; n < P::QUERIES / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int i = row + (e >= 2 ? 8 : 0), j = from + n * 8 + t * 2 + (e & 1);
        const bool there = j <= i && i < a.length;
        const float p = there ? __expf(s[n][e] * a.scale - log_sum[e >> 1]) : 0.f, kept = there ? mask.factor(probability(a, at, at.head, i, j)) : 0.f;
        s[n][e] = p * (kept * d[n][e] - own[e >> 1]) * a.scale;
      }
    times_columns<WIDTH>(out, s, keys);
  }
  store_rows<WIDTH>(dqkv + size_t(at.sequence) * a.length * stride + at.head * a.width, out, row, a.length, stride, a.width, 1.f, 1.f);
}

template <int WIDTH> __device__ __forceinline__ void tensor_keys(ATTENTION_BACKWARD(bf16)) {
  typedef Tensor<WIDTH> P;
  SHARED(bf16, keys, P::ROWS *P::LD);
  SHARED(bf16, values, P::ROWS *P::LD);
  SHARED(bf16, queries, P::KEYS *P::LD);
  SHARED(bf16, gradients, P::KEYS *P::LD);
  const Place at(a, tiles, a.kv_heads);
  const int stride = stride_of(a), first = at.tile * P::ROWS, warp = threadIdx.x >> 5, t = threadIdx.x & 3, dim = a.heads * a.width;
  const int row = first + warp * 16 + ((threadIdx.x & 31) >> 2), group = a.heads / a.kv_heads;
  const bf16 *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + at.head) * a.width, *v = k + a.kv_heads * a.width;
  load_fast<P::ROWS, WIDTH, P::LD, P::THREADS>(keys, k, first, a.length, stride, a.width);
  load_fast<P::ROWS, WIDTH, P::LD, P::THREADS>(values, v, first, a.length, stride, a.width);
  float to_key[P::OUT][4], to_value[P::OUT][4];
  clear(to_key);
  clear(to_value);
  Mask mask(dropout, stream);
  for (int head = at.head * group; head < (at.head + 1) * group; head++) {
    const size_t known = (size_t(at.sequence) * a.heads + head) * a.length;
    for (int from = first; from < a.length; from += P::KEYS) {
      __syncthreads();
      load_fast<P::KEYS, WIDTH, P::LD, P::THREADS>(queries, q + head * a.width, from, a.length, stride, a.width);
      load_fast<P::KEYS, WIDTH, P::LD, P::THREADS>(gradients, dy + size_t(at.sequence) * a.length * dim + head * a.width, from, a.length, dim, a.width);
      __syncthreads();
      float s[P::KEYS / 8][4], d[P::KEYS / 8][4];
      clear(s);
      clear(d);
#pragma unroll
      for (int c = 0; c < P::STEPS; c++) {
        unsigned key[4], value[4], b[2];
        load_a(key, keys + warp * 16 * P::LD + c * 16, P::LD);
        load_a(value, values + warp * 16 * P::LD + c * 16, P::LD);
#pragma unroll
        for (int n = 0; n < P::KEYS / 8; n++) {
          load_b_rows(b, queries + n * 8 * P::LD + c * 16, P::LD);
          mma_16x8x16(s[n], key, b);
          load_b_rows(b, gradients + n * 8 * P::LD + c * 16, P::LD);
          mma_16x8x16(d[n], value, b);
        }
      }
#pragma unroll
      for (int n = 0; n < P::KEYS / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int j = row + (e >= 2 ? 8 : 0), i = from + n * 8 + t * 2 + (e & 1);
          const bool there = j <= i && i < a.length;
          const float p = there ? __expf(s[n][e] * a.scale - lse[known + i]) : 0.f, kept = there ? mask.factor(probability(a, at, head, i, j)) : 0.f;
          s[n][e] = p * kept;
          d[n][e] = there ? p * (kept * d[n][e] - delta[known + i]) * a.scale : 0.f;
        }
      times_columns<WIDTH>(to_value, s, gradients);
      times_columns<WIDTH>(to_key, d, queries);
    }
  }
  bf16 *to = dqkv + size_t(at.sequence) * a.length * stride + (a.heads + at.head) * a.width;
  store_rows<WIDTH>(to, to_key, row, a.length, stride, a.width, 1.f, 1.f);
  store_rows<WIDTH>(to + a.kv_heads * a.width, to_value, row, a.length, stride, a.width, 1.f, 1.f);
}
FOR_WIDTHS(attention_forward, ATTENTION_FORWARD, bf16, bf16, 128, tensor_forward, qkv, y, lse, tiles, a, dropout, stream)
FOR_WIDTHS(attention_queries, ATTENTION_BACKWARD, bf16, bf16, 128, tensor_queries, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTHS(attention_keys, ATTENTION_BACKWARD, bf16, bf16, 128, tensor_keys, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
