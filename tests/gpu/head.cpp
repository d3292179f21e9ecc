// Losses and their gradients, scores.
#include "harness.h"

template <class T> static void head(Report &report, int classes, int cross_entropy, int square, int on_probabilities, float near = INFINITY) {
  const int rows = 5;
  const Formula f = {cross_entropy, square, on_probabilities, 0.3f, 2.5f, near, 1.5f};
  Memory<T> logits(rows * classes, "logits", 1);
  Memory<float> losses(2 * rows, "losses", 0), factor(1, "factor", 1);
  factor[0] = 0.25f;
  Memory<double> totals(2, "totals", 0);
  const auto in = logits.draw(2);
  std::vector<int> target(rows);
  for (int r = 0; r < rows; r++) target[r] = r == 2 ? -1 : int(uniform() * classes);
  Indices targets("targets", target);
  run(of<T>("head_row"), rows, 256, logits.at, targets.at, losses.at, classes, 1, f, factor.at);
  run("loss_sum", 1, 256, losses.at, totals.at, rows, 0);
  std::vector<double> want(rows * classes), loss(2 * rows), total(2);
  for (int r = 0; r < rows; r++) {
    if (target[r] < 0) continue;
    const double *v = &in[r * classes];
    const int y = target[r];
    double most = -1e300, sum = 0, mean = 0;
    std::vector<double> p(classes), slope(classes);
    for (int j = 0; j < classes; j++) most = std::max(most, v[j]);
    for (int j = 0; j < classes; j++) sum += p[j] = std::exp(v[j] - most);
    for (int j = 0; j < classes; j++) {
      p[j] /= sum;
      const double s = on_probabilities ? p[j] : v[j], apart = j == y ? s - f.target : s, weight = j == y && std::abs(s) < near ? f.correct : f.wrong;
      loss[2 * r + 1] += square ? weight * apart * apart : 0;
      slope[j] = 2 * weight * apart;
      mean += p[j] * slope[j];
    }
    loss[2 * r] = cross_entropy ? most + std::log(sum) - v[y] : 0;
    for (int j = 0; j < classes; j++) {
      const double term = on_probabilities ? p[j] * (slope[j] - mean) : slope[j];
      want[r * classes + j] = factor[0] * ((cross_entropy ? p[j] - (j == y) : 0) + (square ? term : 0));
    }
    total[0] += loss[2 * r];
    total[1] += loss[2 * r + 1];
  }
  report.compare(logits, want);
  report.compare(losses, loss);
  report.compare(totals, total);
}
template <class T> static void cross_entropy(Report &r) {
  head<T>(r, 1003, 1, 0, 0);
  head<T>(r, 61, 1, 0, 0);
  head<T>(r, 1024, 1, 0, 0);
}
template <class T> static void square(Report &r) {
  head<T>(r, 1003, 0, 1, 0);
  for (int i = 0; i < 4; i++) head<T>(r, 61, 0, 1, 0, 1.f);  // right logits on both sides of it
}
template <class T> static void squentropy(Report &r) { head<T>(r, 1000, 1, 1, 0); }
template <class T> static void square_softmax(Report &r) { head<T>(r, 1003, 0, 1, 1); }

static void scores(Report &report) {
  for (int classes : {61, 1024}) {
    const int rows = 4, count = 2;
    const float clip = 1e-3f;
    Memory<float> logits(rows * classes, "logits", 1), temperatures(count, "temperatures", 1), out(rows * (4 + count), "scores", 0);
    const auto in = logits.draw(2);
    temperatures[0] = 0.5f;
    temperatures[1] = 1.7f;
    logits[classes + 3] = logits[classes + 9] = 0.75f;  // a tie
    auto v = in;
    v[classes + 3] = v[classes + 9] = 0.75;
    Indices targets("targets", {5, 9, 0, classes - 1});
    run("score_row", rows, 256, logits.at, targets.at, temperatures.at, out.at, classes, count, clip);
    std::vector<double> want(rows * (4 + count));
    for (int r = 0; r < rows; r++) {
      const double *f = &v[r * classes], y = f[targets[r]];
      double *to = &want[r * (4 + count)], sum = 0, clipped = 0, most = -1e300;
      for (int j = 0; j < classes; j++) {
        sum += std::exp(f[j]);
        clipped += std::max(f[j], double(clip));
        most = std::max(most, f[j]);
        to[1] += f[j] > y || (f[j] == y && j < targets[r]);
      }
      to[0] = y - std::log(sum);
      to[2] = std::exp(most) / sum;
      to[3] = std::log(std::max(y, double(clip)) / clipped);
      for (int t = 0; t < count; t++) {
        double z = 0;
        for (int j = 0; j < classes; j++) z += std::exp(f[j] / double(temperatures[t]));
        to[4 + t] = y / double(temperatures[t]) - std::log(z);
      }
      // Ranks are counts: they must be exact, and do not scale the rest.
      if (out[r * (4 + count) + 1] != to[1]) report.error = 1;
      out[r * (4 + count) + 1] = 0;
      to[1] = 0;
    }
    report.compare(out, want);
  }
}

void head_tests() {
  CHECK_BOTH("head: cross-entropy", 3e-6, 5e-3, cross_entropy)
  CHECK_BOTH("head: square", 3e-6, 5e-3, square)
  CHECK_BOTH("head: cross-entropy and square", 3e-6, 5e-3, squentropy)
  CHECK_BOTH("head: square of probabilities", 3e-6, 5e-3, square_softmax)
  check("scores", 2e-6, scores);
}
