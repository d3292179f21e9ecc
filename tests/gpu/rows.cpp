// Embedding, norms, column sums, rotation, activations, biases, residuals.
#include "harness.h"

static void embed(Report &report, bool positions, int columns, const Dropout &dropout, bool in_memory = false) {
  const int classes = 7, length = 5, rows = 20;
  Memory<float> tokens(classes * columns, "tokens", 1), table(length * columns, "positions", 1), y(rows * columns, "y", 0), dy(rows * columns, "dy", 1), slopes(classes * columns, "slopes", 1);
  const auto t = tokens.draw(), p = table.draw(), d = dy.draw();
  auto want_slopes = slopes.draw();
  std::vector<int> id(rows), place(rows), order, starts, keys;
  for (int r = 0; r < rows; r++) {
    id[r] = r % 3 == 0 ? 2 : int(uniform() * classes);
    place[r] = r % length;
  }
  for (int key = 0; key < classes; key++) {
    const size_t before = order.size();
    for (int r = 0; r < rows; r++)
      if (id[r] == key) order.push_back(r);
    if (order.size() > before) {
      starts.push_back(int(before));
      keys.push_back(key);
    }
  }
  // The runs at the end are empty.
  starts.resize(rows + 1, rows);
  keys.resize(rows, 0);
  const Given given(dropout, in_memory);
  Indices ids("ids", id), places("places", place), rows_in_order("order", order), runs("starts", starts), run_keys("keys", keys);
  run("embed_forward", rows, 128, tokens.at, positions ? table.at : nullptr, ids.at, places.at, y.at, columns, given.dropout, given.stream);
  run("embed_backward", rows, 128, dy.at, rows_in_order.at, runs.at, run_keys.at, slopes.at, columns, given.dropout, given.stream);
  std::vector<double> want(rows * columns);
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < columns; j++) {
      const int at = r * columns + j;
      want[at] = (t[id[r] * columns + j] + (positions ? p[place[r] * columns + j] : 0)) * kept(dropout, at);
      want_slopes[id[r] * columns + j] += d[at] * kept(dropout, at);
    }
  report.compare(y, want);
  report.compare(slopes, want_slopes);
}

template <class T> static void norm(Report &report, int rows, int columns, bool centred, bool add) {
  const int blocks = 5;
  const float eps = 1e-5f;
  Memory<float> x(rows * columns, "x", 1), w(columns, "w", 1), b(columns, "b", 1), stats(2 * rows, "stats", 0), dx(rows * columns, "dx", add), partial(blocks * 2 * columns, "partial", 0);
  Memory<float> dw(columns, "dw", 1), db(columns, "db", 1);
  Memory<T> y(rows * columns, "y", 0), dy(rows * columns, "dy", 1);
  const auto in = x.draw(1, 0.5), weight = w.draw(0.1, 1), bias = b.draw(), slope = dy.draw();
  std::vector<double> to_x(rows * columns), out(rows * columns);
  if (add) to_x = dx.draw();
  auto to_w = dw.draw(), to_b = db.draw();
  run(of<T>("norm_forward"), rows, 128, x.at, w.at, centred ? b.at : nullptr, y.at, stats.at, columns, int(centred), eps);
  run(of<T>("norm_backward"), blocks, 128, x.at, w.at, stats.at, dy.at, dx.at, partial.at, rows, columns, int(centred), int(add));
  const int both = centred ? 2 * columns : columns;
  run("column_sum", (both + 31) / 32, 256, partial.at, dw.at, db.at, blocks, both, 2 * columns, columns);
  for (int r = 0; r < rows; r++) {
    const double *v = &in[r * columns], *g = &slope[r * columns];
    double mean = 0, square = 0, plain = 0, crossed = 0;
    for (int j = 0; centred && j < columns; j++) mean += v[j] / columns;
    for (int j = 0; j < columns; j++) square += (v[j] - mean) * (v[j] - mean) / columns;
    const double inverse = 1 / std::sqrt(square + eps);
    for (int j = 0; j < columns; j++) {
      const double n = (v[j] - mean) * inverse;
      out[r * columns + j] = n * weight[j] + (centred ? bias[j] : 0);
      plain += centred ? weight[j] * g[j] / columns : 0;
      crossed += weight[j] * g[j] * n / columns;
      to_w[j] += g[j] * n;
      to_b[j] += centred ? g[j] : 0;
    }
    for (int j = 0; j < columns; j++) to_x[r * columns + j] += inverse * (weight[j] * g[j] - plain - (v[j] - mean) * inverse * crossed);
  }
  report.compare(y, out);
  report.compare(dx, to_x);
  report.compare(dw, to_w);
  report.compare(db, to_b);
}
template <class T> static void norms(Report &report) {
  norm<T>(report, 37, 132, false, true);
  norm<T>(report, 13, 516, true, false);
  norm<T>(report, 6, 37, true, true);
  norm<T>(report, 3, 2084, false, false);
}

// A row beyond the reach of 32-bit indices: only its block runs, over reserved but unmapped memory.
static void far_row(Report &report) {
  const int columns = 1024;
  const size_t row = (size_t(1) << 22) - 1, bytes = (row + 1) * columns * sizeof(float);
  auto reserve = [&](size_t size) { return static_cast<float *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)); };
  float *x = reserve(bytes), *y = reserve(bytes), *stats = reserve((row + 1) * 2 * sizeof(float));
  Memory<float> w(columns, "w", 1);
  const auto weight = w.draw();
  double square = 0;
  for (int j = 0; j < columns; j++) {
    x[row * columns + j] = float(normal());
    square += double(x[row * columns + j]) * x[row * columns + j] / columns;
  }
  for (float *at : {x, y}) extents[reinterpret_cast<char *>(at)] = {bytes, at == x ? "x" : "y", 'f', row * columns * sizeof(float), columns * sizeof(float)};
  extents[reinterpret_cast<char *>(stats)] = {(row + 1) * 2 * sizeof(float), "stats", 'f', row * 2 * sizeof(float), 2 * sizeof(float)};
  cpu::first_block = unsigned(row);
  try {
    run("norm_forward_f32", unsigned(row + 1), 128, x, w.at, static_cast<float *>(nullptr), y, stats, columns, 0, 0.f);
  } catch (...) {
    cpu::first_block = 0;
    throw;
  }
  cpu::first_block = 0;
  Error e;
  for (int j = 0; j < columns; j++) e.add(y[row * columns + j], x[row * columns + j] / std::sqrt(square) * weight[j]);
  report.add(e);
  for (float *at : {x, y, stats}) extents.erase(reinterpret_cast<char *>(at));
  munmap(x, bytes);
  munmap(y, bytes);
  munmap(stats, (row + 1) * 2 * sizeof(float));
}

template <class T> static void column_sums(Report &report) {
  const int rows = 45, columns = 70, blocks = 3;
  Memory<T> x(rows * columns, "x", 1);
  Memory<float> partial(blocks * columns, "partial", 0), out(columns, "out", 1);
  const auto in = x.draw();
  auto want = out.draw();
  run(of<T>("column_partial"), dim3((columns + 31) / 32, blocks), 256, x.at, partial.at, rows, columns);
  run("column_sum", (columns + 31) / 32, 256, partial.at, out.at, static_cast<float *>(nullptr), blocks, columns, columns, columns);
  for (int i = 0; i < rows * columns; i++) want[i % columns] += in[i];
  report.compare(out, want);
}

template <class T> static void bias(Report &report) {
  for (int columns : {37, 132}) {
    const int rows = 5;
    Memory<T> x(rows * columns, "x", 1);
    Memory<float> b(columns, "bias", 1);
    auto want = x.draw();
    const auto by = b.draw();
    run(of<T>("bias_add"), rows, 256, x.at, b.at, columns);
    for (int i = 0; i < rows * columns; i++) want[i] += by[i % columns];
    report.compare(x, want);
  }
}

template <class T> static void rope(Report &report) {
  const int length = 9, rows = 2 * length, heads = 3, half = 4, stride = 40;
  for (int turned = 0; turned < 3; turned++) {
    Memory<T> x(rows * stride, "x", 1);
    Memory<float> c(2 * length * half, "cosines", 1), s(2 * length * half, "sines", 1);
    auto want = x.draw();
    const auto cosines = c.draw(), sines = s.draw();
    std::vector<int> place(rows);
    for (int r = 0; r < rows; r++) place[r] = (r * 5) % (2 * length);
    Indices places("places", place);
    const double turn = turned == 1 ? -1 : 1;
    run(of<T>("rope"), (rows * heads * half + 255) / 256, 256, x.at, c.at, s.at, turned == 2 ? places.at : nullptr, rows, length, stride, heads, half, float(turn));
    for (int r = 0; r < rows; r++)
      for (int p = 0; p < heads * half; p++) {
        const int at = (turned == 2 ? place[r] : r % length) * half + p % half;
        double &first = want[r * stride + 2 * p], &second = want[r * stride + 2 * p + 1];
        const double a = first, b = second;
        first = a * cosines[at] - b * turn * sines[at];
        second = a * turn * sines[at] + b * cosines[at];
      }
    report.compare(x, want);
  }
}

template <class T> static void swiglu(Report &report) {
  for (int hidden : {37, 132}) {
    const int rows = 5;
    Memory<T> x(rows * 2 * hidden, "x", 1), y(rows * hidden, "y", 0), dy(rows * hidden, "dy", 1);
    const auto in = x.draw(2), slope = dy.draw();
    run(of<T>("swiglu_forward"), rows, 256, x.at, y.at, hidden);
    run(of<T>("swiglu_backward"), rows, 256, x.at, dy.at, hidden);
    std::vector<double> out(rows * hidden), to(rows * 2 * hidden);
    for (int i = 0; i < rows * hidden; i++) {
      const int gate_at = i / hidden * 2 * hidden + i % hidden;
      const double gate = in[gate_at], up = in[gate_at + hidden], s = 1 / (1 + std::exp(-gate));
      out[i] = gate * s * up;
      to[gate_at] = slope[i] * up * (s + gate * s * (1 - s));
      to[gate_at + hidden] = slope[i] * gate * s;
    }
    report.compare(y, out);
    report.compare(x, to);
  }
}

template <class T> static void gelu(Report &report) {
  for (int columns : {37, 132})
    for (int with_bias : {0, 1}) {
      const int rows = 5;
      Memory<T> x(rows * columns, "x", 1), y(rows * columns, "y", 0), dy(rows * columns, "dy", 1);
      Memory<float> b(columns, "bias", 1);
      const auto in = x.draw(2), slope = dy.draw(), by = b.draw();
      run(of<T>("gelu_forward"), rows, 256, x.at, with_bias ? b.at : nullptr, y.at, columns);
      run(of<T>("gelu_backward"), rows, 256, x.at, with_bias ? b.at : nullptr, dy.at, columns);
      std::vector<double> out(rows * columns), to(rows * columns);
      for (int i = 0; i < rows * columns; i++) {
        const double z = in[i] + (with_bias ? by[i % columns] : 0), below = 0.5 * (1 + std::erf(z / std::sqrt(2.)));
        out[i] = z * below;
        to[i] = slope[i] * (below + z * std::exp(-z * z / 2) / std::sqrt(6.283185307179586));
      }
      report.compare(y, out);
      report.compare(x, to);
    }
}

template <class T> static void residual(Report &report) {
  for (int columns : {37, 132})
    for (const Dropout &dropout : {NONE, SOME}) {
      const int rows = 5;
      const bool with_bias = columns == 37;
      const Given given(dropout, columns == 37);
      Memory<T> z(rows * columns, "z", 1), dz(rows * columns, "dz", 0);
      Memory<float> b(columns, "bias", 1), r(rows * columns, "residual", 1), y(rows * columns, "y", 0), dy(rows * columns, "dy", 1);
      const auto in = z.draw(), by = b.draw(), before = r.draw(), slope = dy.draw();
      run(of<T>("residual_forward"), rows, 128, z.at, with_bias ? b.at : nullptr, r.at, y.at, columns, given.dropout, given.stream);
      run(of<T>("residual_backward"), rows, 128, dy.at, dz.at, columns, given.dropout, given.stream);
      std::vector<double> out(rows * columns), to(rows * columns);
      for (int i = 0; i < rows * columns; i++) {
        out[i] = before[i] + (in[i] + (with_bias ? by[i % columns] : 0)) * kept(dropout, i);
        to[i] = slope[i] * kept(dropout, i);
      }
      report.compare(y, out);
      report.compare(dz, to);
    }
}

static void gather(Report &report) {
  const int columns = 150;
  Memory<float> x(4 * columns, "x", 1), y(3 * columns, "y", 0);
  const auto in = x.draw();
  Indices rows("rows", {3, 0, 3});
  run("gather_rows", 3, 128, x.at, rows.at, y.at, columns);
  std::vector<double> want(3 * columns);
  for (int i = 0; i < 3 * columns; i++) want[i] = in[rows.at[i / columns] * columns + i % columns];
  report.compare(y, want);
}

void rows_tests() {
  check("embedding, both ways", 1e-6, [](Report &r) {
    embed(r, false, 516, NONE);
    embed(r, true, 37, NONE);
  });
  check("embedding with positions and dropout", 1e-6, [](Report &r) {
    embed(r, true, 132, SOME);
    embed(r, true, 37, SOME, true);
  });
  CHECK_BOTH("norms, both ways", 2e-6, 5e-3, norms)
  if (!race_watch) check("norm of a row beyond 2^31 numbers", 1e-6, far_row);
  CHECK_BOTH("sums of columns", 1e-6, 1e-6, column_sums)
  CHECK_BOTH("bias", 1e-6, 5e-3, bias)
  CHECK_BOTH("rotation, both ways", 1e-6, 5e-3, rope)
  CHECK_BOTH("SwiGLU, both ways", 1e-6, 5e-3, swiglu)
  CHECK_BOTH("GELU, both ways", 1e-6, 5e-3, gelu)
  CHECK_BOTH("residual with bias and dropout, both ways", 1e-6, 5e-3, residual)
  check("rows gathered", 0, gather);
}
