// Shared helpers of kernel tests: memory with guard pages, launches by name, comparisons with f64.
#pragma once
#include "cuda_on_cpu.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <string>
#include <sys/mman.h>
#include <vector>
#define OPTIONAL extern "C" __attribute__((weak))
OPTIONAL void race_watch(void *, size_t, const char *, int);
OPTIONAL void race_forget(void *);
OPTIONAL void race_launch();
OPTIONAL void race_reset();
OPTIONAL unsigned race_found(const char **);
OPTIONAL int race_unwritten(void *);

// Types passed by value, as in the kernels.
struct Dropout {
  unsigned key[2], high[2], threshold;
  float scale;
};
struct Attention {
  int length, heads, kv_heads, width;
  float scale;
};
struct Formula {
  int cross_entropy, square, on_probabilities;
  float wrong, correct, near, target;
};
struct Piece {
  float *value, *first, *second, *gradient;
  bf16 *low;
  int count, decays;
};
struct Adamw {
  float beta1, beta2, rest1, rest2, eps, shrink, rate, root;
};

inline float to_f32(float x) { return x; }
template <class T> T narrowed(double x);
template <> inline float narrowed<float>(double x) { return float(x); }
template <> inline bf16 narrowed<bf16>(double x) { return to_bf16(float(x)); }

extern uint64_t state;
double uniform();
double normal();

// The recorded part of a buffer (`tests ORDERS NAME FILE`): all bytes, or some of a huge one.
struct Extent {
  size_t bytes;
  const char *name;
  char kind;
  size_t from, stored;
};
extern std::map<char *, Extent> extents;
template <class T> constexpr char kind_of = 'i';
template <> inline constexpr char kind_of<float> = 'f';
template <> inline constexpr char kind_of<bf16> = 'h';
template <> inline constexpr char kind_of<double> = 'd';
template <> inline constexpr char kind_of<Piece> = 'p';  // holds pointers

// Device memory, filled with NaN and followed by a guard page.
template <class T> struct Memory {
  T *at;
  size_t n, mapped;
  char *base;
  Memory(size_t n, const char *name, bool initialised) : n(n) {
    const size_t bytes = (n * sizeof(T) + 15) & ~size_t(15), page = 4096;
    mapped = (bytes + page - 1) / page * page + page;
    base = static_cast<char *>(mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    at = reinterpret_cast<T *>(base + mapped - page - bytes);
    memset(static_cast<void *>(at), 0xff, bytes);
    mprotect(base + mapped - page, page, PROT_NONE);
    if (race_watch) race_watch(at, n * sizeof(T), name, initialised);
    extents[reinterpret_cast<char *>(at)] = {n * sizeof(T), name, kind_of<T>, 0, n * sizeof(T)};
  }
  Memory(const Memory &) = delete;
  ~Memory() {
    if (race_forget) race_forget(at);
    extents.erase(reinterpret_cast<char *>(at));
    munmap(base, mapped);
  }
  operator T *() const { return at; }
  double get(size_t i) const { return to_f32(at[i]); }
  // Random numbers; returns their rounded values in f64.
  std::vector<double> draw(double scale = 1, double centre = 0) {
    std::vector<double> kept(n);
    for (size_t i = 0; i < n; i++) {
      at[i] = narrowed<T>(centre + scale * normal());
      kept[i] = get(i);
    }
    return kept;
  }
};
// Indices, set by the host.
struct Indices : Memory<int> {
  Indices(const char *name, const std::vector<int> &values) : Memory(values.size(), name, true) { std::copy(values.begin(), values.end(), at); }
};

void launch(const char *name, dim3 grid, dim3 block, void **parameters, const std::vector<size_t> &sizes);
template <class... A> void run(const std::string &name, dim3 grid, dim3 block, A... a) {
  void *p[] = {&a...};
  launch(name.c_str(), grid, block, p, {sizeof(A)...});
}
template <class T> std::string of(const char *name) { return std::string(name) + (sizeof(T) == 2 ? "_bf16" : "_f32"); }

// Writes a launch into the recording, if any: its inputs at the start, and its results at the end.
// src/train/engine/cuda/launches.rs reads it.
class Recording {
  struct Reached {
    char *at;
    Extent extent;
    std::vector<char> before;
  };
  std::vector<Reached> buffers;
  void reach(uint64_t pointer);
  void put_target(uint64_t pointer) const;

public:
  Recording(bool wanted, const char *kernel, const char *test, double allowed, dim3 grid, dim3 block, void **parameters, const std::vector<size_t> &sizes);
  ~Recording();
};
void record_into(const char *file);

// The largest difference, relative to the largest number; NaN counts as infinite.
struct Error {
  double worst = 0, scale = 0;
  void add(double got, double want) {
    double d = std::abs(got - want);
    if (!(d <= 1e300)) d = 1e300;
    worst = std::max(worst, d);
    scale = std::max(scale, std::abs(want));
  }
  double relative() const { return worst / (scale + 1e-300); }
};
struct Report {
  uint64_t hash = 1469598103934665603ull;
  double error = 0;
  void add(const Error &e) { error = std::max(error, e.relative()); }
  // Numbers that must be the same bits in every order, and their exact values.
  template <class T> void compare(const Memory<T> &got, const std::vector<double> &want) {
    Error e;
    for (size_t i = 0; i < want.size(); i++) e.add(got.get(i), want[i]);
    add(e);
    const unsigned char *bytes = reinterpret_cast<const unsigned char *>(got.at);
    for (size_t i = 0; i < got.n * sizeof(T); i++) hash = (hash ^ bytes[i]) * 1099511628211ull;
    if (race_unwritten && race_unwritten(got.at)) add_unwritten(race_unwritten(got.at));
  }
  void add_unwritten(int cells);
};
// Runs `body` in several orders; all must give the same bits, within `allowed` of f64, without a race.
void check(const std::string &name, double allowed, std::function<void(Report &)> body);
// f32 and bf16.
#define CHECK_BOTH(name, exact, rounded, body)                          \
  check(name " f32", exact, [](Report &r) { body<float>(r); });         \
  check(name " bf16", rounded, [](Report &r) { body<bf16>(r); });

void rows_tests();
void attention_tests();
void head_tests();
void optimizer_tests();
// The factor of element `index`.
double kept(const Dropout &d, uint64_t index);
extern const Dropout NONE, SOME;
// Dropout as kernels get it: its stream by value or, as in a CUDA graph, in memory; the value is wrong then.
struct Given {
  Indices words;
  Dropout dropout;
  const int *stream;
  Given(const Dropout &d, bool in_memory) : words("stream", {int(d.key[0]), int(d.key[1]), int(d.high[0]), int(d.high[1])}), dropout(d), stream(in_memory ? words.at : nullptr) {
    if (in_memory) dropout.key[0] = dropout.key[1] = dropout.high[0] = dropout.high[1] = 1;
  }
};
