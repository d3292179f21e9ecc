// Causal attention in tiles: the forward pass keeps the logarithm of the sum of exponentials, and the backward
// pass recomputes the probabilities.
//
// qkv is (sequences · length, (heads + 2 · kv_heads) · width): queries, keys, values, head after head. Query
// head h reads key head h / (heads / kv_heads). WIDTH is the head's width rounded up to 16, 32, 64, 128 or 256;
// columns beyond `width` are zeros in shared memory. No sum is shared by two blocks: one kernel computes the
// gradients of queries, another those of keys and values, over all heads of a group in order.
#pragma once
#include "device.cuh"

struct Attention {
  int length, heads, kv_heads, width;
  float scale;
};

// The position of a block: its tile, its sequence and its head.
struct Place {
  int tile, sequence, head;
  __device__ __forceinline__ Place(const Attention &a, int tiles, int heads)
      : tile(blockIdx.x % tiles), sequence(blockIdx.x / tiles / heads), head(blockIdx.x / tiles % heads) {}
};
__device__ __forceinline__ int stride_of(const Attention &a) { return (a.heads + 2 * a.kv_heads) * a.width; }

// Loads rows `first` … `first + ROWS − 1` of a head into shared memory, row-major with `LD` numbers per row.
// `at` is row 0 of the sequence.
template <int ROWS, int WIDTH, int LD, int THREADS, class S, class T>
__device__ __forceinline__ void load_rows(S *tile, const T *at, int first, int length, int stride, int width) {
  for (int i = threadIdx.x; i < ROWS * WIDTH; i += THREADS) {
    const int row = i / WIDTH, d = i % WIDTH;
    tile[row * LD + d] = narrow<S>(first + row < length && d < width ? to_f32(at[size_t(first + row) * stride + d]) : 0.f);
  }
}
// The same, 16 bytes at a time if the width allows it.
template <int ROWS, int WIDTH, int LD, int THREADS>
__device__ __forceinline__ void load_fast(bf16 *tile, const bf16 *at, int first, int length, int stride, int width) {
  if (width % 8) return load_rows<ROWS, WIDTH, LD, THREADS>(tile, at, first, length, stride, width);
  for (int i = threadIdx.x; i < ROWS * WIDTH / 8; i += THREADS) {
    const int row = i / (WIDTH / 8), d = i % (WIDTH / 8) * 8;
    uint4 v;
    v.x = v.y = v.z = v.w = 0u;
    if (first + row < length && d < width) v = *reinterpret_cast<const uint4 *>(at + size_t(first + row) * stride + d);
    *reinterpret_cast<uint4 *>(tile + row * LD + d) = v;
  }
}
// Index of the probability of query i and key j, for its dropout.
__device__ __forceinline__ u64 probability(const Attention &a, const Place &p, int head, int i, int j) {
  return ((u64(p.sequence) * a.heads + head) * a.length + i) * a.length + j;
}

// ---------------------------------------------------------------- delta[sequence, head, i] = Σ_d dy y: one
// warp for each
#define ATTENTION_DELTA(T) const T *__restrict__ y, const T *__restrict__ dy, float *__restrict__ delta, int rows, Attention a
template <class T> __device__ __forceinline__ void attention_delta_of(ATTENTION_DELTA(T)) {
  const size_t index = size_t(blockIdx.x) * 8 + (threadIdx.x >> 5);
  if (index >= size_t(rows) * a.heads) return;  // whole warps
  const int lane = threadIdx.x & 31, head = int(index % a.heads);
  const size_t row = index / a.heads, at = (row * a.heads + head) * a.width;
#if PLANTED == EARLY_EXIT
  if (lane >= a.width) return;
#endif
  float sum = 0.f;
  for (int d = lane; d < a.width; d += 32) sum += to_f32(y[at + d]) * to_f32(dy[at + d]);
  sum = warp_sum(sum);
  if (lane == 0) delta[(row / a.length * a.heads + head) * a.length + row % a.length] = sum;
}
BOTH(attention_delta, 256, ATTENTION_DELTA, y, dy, delta, rows, a)

// ---------------------------------------------------------------- computed in f32: four threads per row, TILE
// rows per block
// For activations in f32, and for those in bf16 if a head is too wide for its fragments of tensor cores to fit
// into registers.
template <int WIDTH> struct Plain {
  static constexpr int TILE = WIDTH > 128 ? 8 : WIDTH > 64 ? 16 : 32, LD = WIDTH + 1, THREADS = 4 * TILE, KEYS = TILE / 4, OWN = WIDTH / 4;
};
__device__ __forceinline__ float four_sum(float v) {
  v += __shfl_xor_sync(EVERY_LANE, v, 1);
  return v + __shfl_xor_sync(EVERY_LANE, v, 2);
}
__device__ __forceinline__ float four_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(EVERY_LANE, v, 1));
  return fmaxf(v, __shfl_xor_sync(EVERY_LANE, v, 2));
}
// Products of row `r` of `a` with rows c, c + 4, … of `b`.
template <int WIDTH> __device__ __forceinline__ void row_products(const float *a, const float *b, float (&s)[Plain<WIDTH>::KEYS]) {
  const int r = threadIdx.x >> 2, c = threadIdx.x & 3;
#pragma unroll
  for (int n = 0; n < Plain<WIDTH>::KEYS; n++) s[n] = 0.f;
  for (int d = 0; d < WIDTH; d++) {
    const float v = a[r * Plain<WIDTH>::LD + d];
#pragma unroll
    for (int n = 0; n < Plain<WIDTH>::KEYS; n++) s[n] += v * b[(c + 4 * n) * Plain<WIDTH>::LD + d];
  }
}
// out += row r of `p` (TILE, TILE) times the rows of `b`: columns c, c + 4, ….
template <int WIDTH> __device__ __forceinline__ void row_mix(const float *p, const float *b, float (&out)[Plain<WIDTH>::OWN]) {
  const int r = threadIdx.x >> 2, c = threadIdx.x & 3;
  for (int k = 0; k < Plain<WIDTH>::TILE; k++) {
    const float w = p[r * (Plain<WIDTH>::TILE + 1) + k];
#pragma unroll
    for (int n = 0; n < Plain<WIDTH>::OWN; n++) out[n] += w * b[k * Plain<WIDTH>::LD + c + 4 * n];
  }
}

#define ATTENTION_FORWARD(T) const T *__restrict__ qkv, T *__restrict__ y, float *__restrict__ lse, int tiles, Attention a, Dropout dropout, const unsigned *__restrict__ stream
template <int WIDTH, class T> __device__ __forceinline__ void plain_forward(ATTENTION_FORWARD(T)) {
  typedef Plain<WIDTH> P;
  SHARED(float, queries, P::TILE * P::LD);
  SHARED(float, tile, P::TILE * P::LD);  // keys, then values
  SHARED(float, shares, P::TILE *(P::TILE + 1));
  const Place at(a, tiles, a.heads);
  const int stride = stride_of(a), first = (tiles - 1 - at.tile) * P::TILE, r = threadIdx.x >> 2, c = threadIdx.x & 3, i = first + r;
  const int kv = at.head / (a.heads / a.kv_heads);
  const T *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + kv) * a.width, *v = k + a.kv_heads * a.width;
  load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(queries, q + at.head * a.width, first, a.length, stride, a.width);
  float out[P::OWN], s[P::KEYS], most = -INFINITY, sum = 0.f;
#pragma unroll
  for (int n = 0; n < P::OWN; n++) out[n] = 0.f;
  Mask mask(dropout, stream);
  for (int from = 0; from <= first; from += P::TILE) {
    __syncthreads();
    load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(tile, k, from, a.length, stride, a.width);
    __syncthreads();
    row_products<WIDTH>(queries, tile, s);
    float top = most;
#pragma unroll
    for (int n = 0; n < P::KEYS; n++) {
      s[n] = from + c + 4 * n <= i ? s[n] * a.scale : -INFINITY;
      top = fmaxf(top, s[n]);
    }
    top = four_max(top);
    const float shrink = expf(most - top);
    most = top;
    sum *= shrink;
#pragma unroll
    for (int n = 0; n < P::OWN; n++) out[n] *= shrink;
    float part = 0.f;
#pragma unroll
    for (int n = 0; n < P::KEYS; n++) {
      const int j = from + c + 4 * n;
      const float p = expf(s[n] - most);
      part += p;
      shares[r * (P::TILE + 1) + c + 4 * n] = p * (j <= i && i < a.length ? mask.factor(probability(a, at, at.head, i, j)) : 1.f);
    }
    sum += four_sum(part);
    __syncthreads();  // scores are read, shares are written
    load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(tile, v, from, a.length, stride, a.width);
    __syncthreads();
    row_mix<WIDTH>(shares, tile, out);
  }
  if (i >= a.length) return;
  const size_t row = (size_t(at.sequence) * a.length + i) * a.heads + at.head;
#pragma unroll
  for (int n = 0; n < P::OWN; n++)
    if (c + 4 * n < a.width) y[row * a.width + c + 4 * n] = narrow<T>(out[n] / sum);
  if (c == 0) lse[(size_t(at.sequence) * a.heads + at.head) * a.length + i] = most + logf(sum);
}

// Gradients of the queries, written to their columns of dqkv.
#define ATTENTION_BACKWARD(T) const T *__restrict__ qkv, const T *__restrict__ dy, const float *__restrict__ lse, const float *__restrict__ delta, T *__restrict__ dqkv, int tiles, Attention a, Dropout dropout, const unsigned *__restrict__ stream
template <int WIDTH, class T> __device__ __forceinline__ void plain_queries(ATTENTION_BACKWARD(T)) {
  typedef Plain<WIDTH> P;
  SHARED(float, queries, P::TILE * P::LD);
  SHARED(float, gradients, P::TILE * P::LD);
  SHARED(float, tile, P::TILE * P::LD);  // values, then keys
  SHARED(float, shares, P::TILE *(P::TILE + 1));
  const Place at(a, tiles, a.heads);
  const int stride = stride_of(a), first = (tiles - 1 - at.tile) * P::TILE, r = threadIdx.x >> 2, c = threadIdx.x & 3, i = first + r;
  const int kv = at.head / (a.heads / a.kv_heads), dim = a.heads * a.width;
  const T *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + kv) * a.width, *v = k + a.kv_heads * a.width;
  load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(queries, q + at.head * a.width, first, a.length, stride, a.width);
  load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(gradients, dy + size_t(at.sequence) * a.length * dim + at.head * a.width, first, a.length, dim, a.width);
  const size_t known = (size_t(at.sequence) * a.heads + at.head) * a.length + (i < a.length ? i : 0);
  const float log_sum = lse[known], own = delta[known];
  float out[P::OWN], s[P::KEYS], d[P::KEYS];
#pragma unroll
  for (int n = 0; n < P::OWN; n++) out[n] = 0.f;
  Mask mask(dropout, stream);
  for (int from = 0; from <= first; from += P::TILE) {
    __syncthreads();
    load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(tile, v, from, a.length, stride, a.width);
    __syncthreads();
    row_products<WIDTH>(gradients, tile, d);
    __syncthreads();
    load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(tile, k, from, a.length, stride, a.width);
    __syncthreads();
    row_products<WIDTH>(queries, tile, s);
#pragma unroll
    for (int n = 0; n < P::KEYS; n++) {
      const int j = from + c + 4 * n;
      const bool there = j <= i && i < a.length;
      const float p = there ? expf(s[n] * a.scale - log_sum) : 0.f, kept = there ? mask.factor(probability(a, at, at.head, i, j)) : 0.f;
      shares[r * (P::TILE + 1) + c + 4 * n] = p * (kept * d[n] - own) * a.scale;
    }
    __syncthreads();
    row_mix<WIDTH>(shares, tile, out);
  }
  if (i >= a.length) return;
  T *to = dqkv + (size_t(at.sequence) * a.length + i) * stride + at.head * a.width;
#pragma unroll
  for (int n = 0; n < P::OWN; n++)
    if (c + 4 * n < a.width) to[c + 4 * n] = narrow<T>(out[n]);
}

// Gradients of keys and values: a block's rows are keys.
template <int WIDTH, class T> __device__ __forceinline__ void plain_keys(ATTENTION_BACKWARD(T)) {
  typedef Plain<WIDTH> P;
  SHARED(float, keys, P::TILE * P::LD);
  SHARED(float, tile, P::TILE * P::LD);  // queries
  SHARED(float, gradients, P::TILE * P::LD);
  SHARED(float, shares, P::TILE *(P::TILE + 1));
  const Place at(a, tiles, a.kv_heads);
  const int stride = stride_of(a), first = at.tile * P::TILE, r = threadIdx.x >> 2, c = threadIdx.x & 3, j = first + r, dim = a.heads * a.width;
  const int group = a.heads / a.kv_heads;
  const T *q = qkv + size_t(at.sequence) * a.length * stride, *k = q + (a.heads + at.head) * a.width, *v = k + a.kv_heads * a.width;
  load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(keys, k, first, a.length, stride, a.width);
  float to_key[P::OWN], to_value[P::OWN], own[P::OWN], s[P::KEYS], d[P::KEYS];
#pragma unroll
  for (int n = 0; n < P::OWN; n++) {
    to_key[n] = to_value[n] = 0.f;
    own[n] = j < a.length && c + 4 * n < a.width ? to_f32(v[size_t(j) * stride + c + 4 * n]) : 0.f;  // four threads share a row of values
  }
  Mask mask(dropout, stream);
  for (int head = at.head * group; head < (at.head + 1) * group; head++) {
    const size_t known = (size_t(at.sequence) * a.heads + head) * a.length;
    for (int from = first; from < a.length; from += P::TILE) {
      __syncthreads();
      load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(tile, q + head * a.width, from, a.length, stride, a.width);
      load_rows<P::TILE, WIDTH, P::LD, P::THREADS>(gradients, dy + size_t(at.sequence) * a.length * dim + head * a.width, from, a.length, dim, a.width);
      __syncthreads();
      row_products<WIDTH>(keys, tile, s);
      // Σ_d v dy for all queries of the tile: each of the four threads handles a quarter of the columns.
      for (int n = 0; n < P::TILE; n++) {
        float sum = 0.f;
#pragma unroll
        for (int e = 0; e < P::OWN; e++) sum += own[e] * gradients[n * P::LD + c + 4 * e];
        sum = four_sum(sum);
#pragma unroll
        for (int e = 0; e < P::KEYS; e++) d[e] = n == c + 4 * e ? sum : d[e];
      }
#pragma unroll
      for (int n = 0; n < P::KEYS; n++) {
        const int i = from + c + 4 * n;
        const bool there = j <= i && i < a.length;
        const float kept = there ? mask.factor(probability(a, at, head, i, j)) : 0.f;
        s[n] = there ? expf(s[n] * a.scale - lse[known + i]) : 0.f;
        shares[r * (P::TILE + 1) + c + 4 * n] = s[n] * kept;
        d[n] = there ? s[n] * (kept * d[n] - delta[known + i]) * a.scale : 0.f;
      }
      __syncwarp();  // the four threads of a row belong to one warp
      row_mix<WIDTH>(shares, gradients, to_value);
      __syncwarp();
#pragma unroll
      for (int n = 0; n < P::KEYS; n++) shares[r * (P::TILE + 1) + c + 4 * n] = d[n];
      __syncwarp();
      row_mix<WIDTH>(shares, tile, to_key);
    }
  }
  if (j >= a.length) return;
  T *to = dqkv + (size_t(at.sequence) * a.length + j) * stride + (a.heads + at.head) * a.width;
#pragma unroll
  for (int n = 0; n < P::OWN; n++)
    if (c + 4 * n < a.width) {
      to[c + 4 * n] = narrow<T>(to_key[n]);
      to[a.kv_heads * a.width + c + 4 * n] = narrow<T>(to_value[n]);
    }
}

// Defines a kernel for heads of one width from `body`.
#define FOR_WIDTH(name, width, PARAMETERS, T, suffix, threads, body, ...)                                                            \
  extern "C" __global__ void __launch_bounds__(threads) name##_##width##_##suffix(PARAMETERS(T)) { body<width>(__VA_ARGS__); }      \
  KERNEL(name##_##width##_##suffix)
#define FOR_WIDTHS(name, PARAMETERS, T, suffix, threads, body, ...)                                                                  \
  FOR_WIDTH(name, 16, PARAMETERS, T, suffix, threads, body, __VA_ARGS__)                                                             \
  FOR_WIDTH(name, 32, PARAMETERS, T, suffix, threads, body, __VA_ARGS__)                                                             \
  FOR_WIDTH(name, 64, PARAMETERS, T, suffix, threads, body, __VA_ARGS__)                                                             \
  FOR_WIDTH(name, 128, PARAMETERS, T, suffix, threads, body, __VA_ARGS__)
FOR_WIDTHS(attention_forward, ATTENTION_FORWARD, float, f32, 128, plain_forward, qkv, y, lse, tiles, a, dropout, stream)
FOR_WIDTHS(attention_queries, ATTENTION_BACKWARD, float, f32, 128, plain_queries, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTHS(attention_keys, ATTENTION_BACKWARD, float, f32, 128, plain_keys, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTH(attention_forward, 256, ATTENTION_FORWARD, float, f32, 32, plain_forward, qkv, y, lse, tiles, a, dropout, stream)
FOR_WIDTH(attention_queries, 256, ATTENTION_BACKWARD, float, f32, 32, plain_queries, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTH(attention_keys, 256, ATTENTION_BACKWARD, float, f32, 32, plain_keys, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTH(attention_forward, 256, ATTENTION_FORWARD, bf16, bf16, 32, plain_forward, qkv, y, lse, tiles, a, dropout, stream)
FOR_WIDTH(attention_queries, 256, ATTENTION_BACKWARD, bf16, bf16, 32, plain_queries, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
FOR_WIDTH(attention_keys, 256, ATTENTION_BACKWARD, bf16, bf16, 32, plain_keys, qkv, dy, lse, delta, dqkv, tiles, a, dropout, stream)
