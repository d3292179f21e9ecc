// Gradient norm, clipping, AdamW; copies.
#include "harness.h"

static void step(Report &report, double limit) {
  const int n = 1000, split = 512, m = 37;
  const Adamw s = {0.9f, 0.95f, 0.1f, 0.05f, 1e-8f, 0.999f, 0.01f, 2.f};
  Memory<float> p(n, "p", 1), first(n, "m", 1), second(n, "v", 1), g(n, "g", 1), p2(m, "p2", 1), first2(m, "m2", 1), second2(m, "v2", 1), g2(m, "g2", 1);
  Memory<bf16> low(n, "low", 0);
  Memory<Adamw> numbers(1, "numbers", 1);
  numbers[0] = s;
  Memory<Piece> pieces(3, "pieces", 1);
  Memory<double> partial(3, "partial", 0), found(2, "found", 0);
  auto vp = p.draw(), vm = first.draw(), vv = second.draw(0.1, 1), vg = g.draw(), wp = p2.draw(), wm = first2.draw(), wv = second2.draw(0.1, 1), wg = g2.draw();
  pieces[0] = {p, first, second, g, low, split, 1};
  pieces[1] = {p.at + split, first.at + split, second.at + split, g.at + split, low.at + split, n - split, 1};
  pieces[2] = {p2, first2, second2, g2, nullptr, m, 0};
  run("square_sum", 3, 256, pieces.at, partial.at);
  run("clip_factor", 1, 256, partial.at, found.at, 3, limit);
  run("adamw", 3, 256, pieces.at, found.at, numbers.at);
  double norm = 0;
  for (double v : vg) norm += v * v;
  for (double v : wg) norm += v * v;
  norm = std::sqrt(norm);
  const double scale = limit < 0 ? 1 : std::min(1., limit / (norm + 1e-6));
  auto update = [&](double &v, double &m, double &r, double g, double shrink) {
    g *= scale;
    m = double(s.beta1) * m + double(s.rest1) * g;
    r = double(s.beta2) * r + double(s.rest2) * g * g;
    v = shrink * v - double(s.rate) * m / (std::sqrt(r) * s.root + s.eps);
  };
  for (int i = 0; i < n; i++) update(vp[i], vm[i], vv[i], vg[i], s.shrink);
  for (int i = 0; i < m; i++) update(wp[i], wm[i], wv[i], wg[i], 1);
  report.compare(found, {norm, scale});
  report.compare(p, vp);
  report.compare(first, vm);
  report.compare(second, vv);
  report.compare(g, std::vector<double>(n));
  report.compare(p2, wp);
  report.compare(g2, std::vector<double>(m));
  for (int i = 0; i < n; i++)
    if (low[i].bits != to_bf16(p[i]).bits) report.error = 1;
}
static void copies(Report &report) {
  const unsigned n = 700;
  Memory<float> from(n, "from", 1), to(n, "to", 1);
  Memory<bf16> low(n, "low", 0);
  const auto in = from.draw();
  auto want = to.draw();
  run("to_low", (n + 255) / 256, 256, from.at, low.at, (unsigned long long)n);
  run("add_to", (n + 255) / 256, 256, to.at, from.at, (unsigned long long)n);
  for (unsigned i = 0; i < n; i++) {
    want[i] += in[i];
    if (low[i].bits != to_bf16(from[i]).bits) report.error = 1;
  }
  report.compare(to, want);
}
void optimizer_tests() {
  check("gradient norm, clipping, AdamW", 1e-6, [](Report &r) {
    step(r, 0.5);
    step(r, -1);
    step(r, 1e9);
  });
  check("copies", 1e-6, copies);
}
