// Attention, with a tape and with a cache.
#include "harness.h"

struct Case {
  int sequences;
  Attention a;
  Dropout dropout;
};
static int stride_of(const Attention &a) { return (a.heads + 2 * a.kv_heads) * a.width; }

struct Exact {
  std::vector<double> y, lse, dqkv;
};
// Output and gradients in f64. `out` is the output read by the backward pass: its rounding is not an error of the
// kernel.
static Exact exact(const Case &c, const std::vector<double> &qkv, const std::vector<double> &dy) {
  const Attention &a = c.a;
  const int stride = stride_of(a), dim = a.heads * a.width;
  Exact e{std::vector<double>(size_t(c.sequences) * a.length * dim), std::vector<double>(size_t(c.sequences) * a.heads * a.length), std::vector<double>(qkv.size())};
  for (int s = 0; s < c.sequences; s++)
    for (int h = 0; h < a.heads; h++)
      for (int i = 0; i < a.length; i++) {
        const int kv = h / (a.heads / a.kv_heads);
        const size_t q = size_t(s * a.length + i) * stride + h * a.width, out = size_t(s * a.length + i) * dim + h * a.width;
        auto key = [&](int j) { return size_t(s * a.length + j) * stride + dim + kv * a.width; };
        std::vector<double> p(i + 1), keep(i + 1);
        double most = -1e300, sum = 0, own = 0;
        for (int j = 0; j <= i; j++) {
          for (int d = 0; d < a.width; d++) p[j] += qkv[q + d] * qkv[key(j) + d] * a.scale;
          most = std::max(most, p[j]);
          keep[j] = kept(c.dropout, (uint64_t(s * a.heads + h) * a.length + i) * a.length + j);
        }
        for (double &v : p) sum += v = std::exp(v - most);
        e.lse[size_t(s * a.heads + h) * a.length + i] = most + std::log(sum);
        std::vector<double> slope(i + 1);
        for (int j = 0; j <= i; j++) {
          p[j] /= sum;
          for (int d = 0; d < a.width; d++) {
            const double v = qkv[key(j) + a.kv_heads * a.width + d];
            e.y[out + d] += p[j] * keep[j] * v;
            slope[j] += dy[out + d] * v * keep[j];
            e.dqkv[key(j) + a.kv_heads * a.width + d] += p[j] * keep[j] * dy[out + d];
          }
          own += p[j] * slope[j];
        }
        for (int j = 0; j <= i; j++)
          for (int d = 0; d < a.width; d++) {
            const double g = p[j] * (slope[j] - own) * a.scale;
            e.dqkv[q + d] += g * qkv[key(j) + d];
            e.dqkv[key(j) + d] += g * qkv[q + d];
          }
      }
  return e;
}
template <class T> static void attention(Report &report, const Case &c) {
  const Attention &a = c.a;
  const int padded = a.width <= 16 ? 16 : a.width <= 32 ? 32 : a.width <= 64 ? 64 : a.width <= 128 ? 128 : 256;
  const bool low = sizeof(T) == 2 && padded < 256;  // on tensor cores
  const int rows = low ? 64 : padded > 128 ? 8 : padded > 64 ? 16 : 32, threads = low ? 128 : 4 * rows, tiles = (a.length + rows - 1) / rows, n = c.sequences * a.length;
  const std::string suffix = "_" + std::to_string(padded) + (sizeof(T) == 2 ? "_bf16" : "_f32");
  Memory<T> qkv(n * stride_of(a), "qkv", 1), y(n * a.heads * a.width, "y", 0), dy(n * a.heads * a.width, "dy", 1), dqkv(n * stride_of(a), "dqkv", 0);
  Memory<float> lse(n * a.heads, "lse", 0), delta(n * a.heads, "delta", 0);
  const auto in = qkv.draw(), slope = dy.draw();
  const Exact want = exact(c, in, slope);
  const Given given(c.dropout, a.length % 2 == 1);
  run("attention_forward" + suffix, tiles * c.sequences * a.heads, threads, qkv.at, y.at, lse.at, tiles, a, given.dropout, given.stream);
  run(of<T>("attention_delta"), (n * a.heads + 7) / 8, 256, y.at, dy.at, delta.at, n, a);
  run("attention_queries" + suffix, tiles * c.sequences * a.heads, threads, qkv.at, dy.at, lse.at, delta.at, dqkv.at, tiles, a, given.dropout, given.stream);
  run("attention_keys" + suffix, tiles * c.sequences * a.kv_heads, threads, qkv.at, dy.at, lse.at, delta.at, dqkv.at, tiles, a, given.dropout, given.stream);
  report.compare(y, want.y);
  report.compare(lse, want.lse);
  report.compare(dqkv, want.dqkv);
}
static Attention shape(int length, int heads, int kv_heads, int width) { return {length, heads, kv_heads, width, float(1 / std::sqrt(double(width)))}; }
template <class T> static void width_16(Report &r) {
  attention<T>(r, {2, shape(67, 4, 2, 6), NONE});
  attention<T>(r, {1, shape(33, 2, 2, 16), SOME});
}
template <class T> static void width_32(Report &r) { attention<T>(r, {1, shape(70, 2, 1, 24), SOME}); }
template <class T> static void width_64(Report &r) {
  attention<T>(r, {1, shape(97, 4, 2, 64), NONE});
  attention<T>(r, {2, shape(5, 1, 1, 40), SOME});
}
template <class T> static void width_128(Report &r) {
  attention<T>(r, {1, shape(70, 1, 1, 128), NONE});
  attention<T>(r, {1, shape(34, 2, 1, 80), SOME});
}
template <class T> static void width_256(Report &r) {
  attention<T>(r, {1, shape(21, 2, 1, 256), NONE});
  attention<T>(r, {1, shape(11, 1, 1, 200), SOME});
}

static void cached(Report &report) {
  for (int width : {6, 64, 100, 256}) {
    const Attention a = shape(0, 4, 2, width);
    const int sequences = 3, capacity = 11, rows = 4, columns = a.kv_heads * a.width;
    Memory<float> qkv(rows * stride_of(a), "qkv", 1), keys(sequences * capacity * columns, "keys", 1), values(sequences * capacity * columns, "values", 1), y(rows * a.heads * a.width, "y", 0);
    const auto in = qkv.draw();
    auto k = keys.draw(), v = values.draw();
    Indices owners("owners", {2, 2, 0, 0}), places("places", {7, 8, 0, 1});
    run("cache_append", rows, 128, qkv.at, keys.at, values.at, owners.at, places.at, capacity, a);
    run("attention_cached", rows * a.heads, 128, qkv.at, keys.at, values.at, owners.at, places.at, y.at, capacity, a);
    std::vector<double> want(rows * a.heads * a.width);
    auto slot = [&](int row, int j) { return size_t(owners[row] * capacity + j) * columns; };
    for (int r = 0; r < rows; r++)
      for (int d = 0; d < columns; d++) {
        k[slot(r, places[r]) + d] = in[r * stride_of(a) + a.heads * width + d];
        v[slot(r, places[r]) + d] = in[r * stride_of(a) + a.heads * width + columns + d];
      }
    for (int r = 0; r < rows; r++)
      for (int h = 0; h < a.heads; h++) {
        std::vector<double> p(places[r] + 1);
        double sum = 0;
        for (int j = 0; j <= places[r]; j++) {
          for (int d = 0; d < width; d++) p[j] += in[r * stride_of(a) + h * width + d] * k[slot(r, j) + h / 2 * width + d] * a.scale;
          sum += p[j] = std::exp(p[j]);
        }
        for (int j = 0; j <= places[r]; j++)
          for (int d = 0; d < width; d++) want[(r * a.heads + h) * width + d] += p[j] / sum * v[slot(r, j) + h / 2 * width + d];
      }
    report.compare(keys, k);
    report.compare(values, v);
    report.compare(y, want);
  }
}

void attention_tests() {
  CHECK_BOTH("attention, heads of up to 16", 3e-6, 1e-2, width_16)
  CHECK_BOTH("attention, heads of up to 32", 3e-6, 1e-2, width_32)
  CHECK_BOTH("attention, heads of up to 64", 3e-6, 1e-2, width_64)
  CHECK_BOTH("attention, heads of up to 128", 3e-6, 1e-2, width_128)
  CHECK_BOTH("attention, heads of up to 256", 3e-6, 1e-2, width_256)
  check("attention to cached positions", 2e-6, cached);
}
