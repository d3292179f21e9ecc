// Every kernel against f64, in several orders of threads, warps and blocks, with the same bits in every order, and
// without races or stray accesses. `tests ORDERS [NAME [FILE]]`: the tests whose names contain NAME; every launch of
// the first order is recorded in FILE (record.cpp). Every kernel of the program must be launched by some test.
#include "harness.h"
#include <csignal>
#include <set>
#include <unistd.h>

uint64_t state = 1;
double uniform() {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return double(state >> 11) / 9007199254740992.0;
}
double normal() { return std::sqrt(-2 * std::log(uniform() + 1e-300)) * std::cos(6.283185307179586 * uniform()); }

const Dropout NONE = {{0, 0}, {0, 0}, 0, 0}, SOME = {{0x12345678u, 0x9abcdef0u}, {77, 0xfedcba98u}, 858993459u, 1.25f};
double kept(const Dropout &d, uint64_t index) {
  if (d.scale == 0) return 1;
  uint32_t c[4] = {uint32_t(index >> 2), uint32_t(index >> 34), d.high[0], d.high[1]}, k[2] = {d.key[0], d.key[1]};
  for (int round = 0; round < 10; round++) {
    const uint64_t first = uint64_t(0xD2511F53u) * c[0], second = uint64_t(0xCD9E8D57u) * c[2];
    const uint32_t next[4] = {uint32_t(second >> 32) ^ c[1] ^ k[0], uint32_t(second), uint32_t(first >> 32) ^ c[3] ^ k[1], uint32_t(first)};
    memcpy(c, next, sizeof c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c[index & 3] >= d.threshold ? d.scale : 0;
}

static int failures, orders = 6;
static std::string only, trouble, current;
static std::set<std::string> launched;
static double bound;
struct Undefined {};
void launch(const char *name, dim3 grid, dim3 block, void **parameters, const std::vector<size_t> &sizes) {
  typedef int (*Kernel)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
  const std::string symbol = std::string(name) + "__cpu";
  const auto kernel = reinterpret_cast<Kernel>(dlsym(RTLD_DEFAULT, symbol.c_str()));
  if (!kernel) {
    trouble = "there is no kernel " + symbol;
    throw Undefined{};
  }
  launched.insert(name);
  if (race_launch) race_launch();
  const Recording recording(cpu::seed == 0, name, current.c_str(), bound, grid, block, parameters, sizes);
  if (kernel(grid.x, grid.y, grid.z, block.x, block.y, block.z, parameters) != 0) {
    trouble = std::string(name) + ": " + cpu::failure;
    throw Undefined{};
  }
}
void Report::add_unwritten(int cells) { trouble = std::to_string(2 * cells) + " bytes of an output are not written"; }
void check(const std::string &name, double allowed, std::function<void(Report &)> body) {
  if (!only.empty() && name.find(only) == std::string::npos) return;
  uint64_t first = 0;
  bool same = true;
  double error = 0;
  trouble.clear();
  current = name;
  bound = allowed;
  for (int seed = 0; seed < orders && trouble.empty(); seed++) {
    cpu::seed = seed;
    state = 77;
    Report report;
    if (race_reset) race_reset();
    try {
      body(report);
    } catch (Undefined) {
    }
    error = std::max(error, report.error);
    const char *text;
    if (race_found && race_found(&text) && trouble.empty()) trouble = text;
    if (seed == 0) first = report.hash;
    same &= report.hash == first || !trouble.empty();
  }
  const bool ok = trouble.empty() && error <= allowed && same;
  failures += !ok;
  printf("%-44s %s  error %.1e (allowed %.0e), %s%s%s\n", name.c_str(), ok ? "ok  " : "FAIL", error, allowed, same ? "the same bits in every order" : "BITS DEPEND ON THE ORDER",
         trouble.empty() ? "" : ": ", trouble.c_str());
  fflush(stdout);
}
static void crashed(int signal) {
  printf("%-44s FAIL  %s\n", current.c_str(), signal == SIGSEGV ? "an access outside all buffers" : "arithmetic without a defined result");
  fflush(stdout);
  _exit(1);
}
int main(int count, char **arguments) {
  if (count > 1) orders = atoi(arguments[1]);
  if (count > 2) only = arguments[2];
  if (count > 3) record_into(arguments[3]);
  static char room[1 << 16];
  stack_t other = {};
  other.ss_sp = room;
  other.ss_size = sizeof room;
  sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_handler = crashed;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGILL, &action, nullptr);
  rows_tests();
  attention_tests();
  head_tests();
  optimizer_tests();
  int kernels = 0;
  for (cpu::Known *k = cpu::known; k; k = k->next, kernels++)
    if (!launched.count(k->name)) {
      printf("not launched: %s\n", k->name);
      failures += only.empty();
    }
  printf("%d failed, %d orders, %zu of %d kernels launched\n", failures, orders, launched.size(), kernels);
  return failures != 0;
}
