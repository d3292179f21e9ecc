// The scheduler of cuda_on_cpu.h: fibers, barriers, warp operations.
#include "cuda_on_cpu.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define ASAN(...) __VA_ARGS__
#else
#define ASAN(...)
#endif
// Hooks for race.cpp; empty without it.
extern "C" __attribute__((weak)) void race_block(unsigned serial, char *shared, char *end);
extern "C" __attribute__((weak)) void race_barrier();

namespace cpu {
Thread *self;
dim3 block_id, block_dim, grid_dim;
char failure[512];
uint64_t seed;
unsigned first_block;
Known *known;
Known::Known(const char *name) : name(name), next(known) { known = this; }
constexpr size_t STACK = 64 << 10;
static Thread threads[1024];
alignas(16) static char arena[SHARED_BYTES];
static std::vector<std::pair<size_t, size_t>> arrays;  // in shared memory: first byte and end
static char *stacks;
static Body body;
static void (*kernel)();
static void **parameters;
static uint64_t rng;
static unsigned serial;

#ifdef __x86_64__
static void *main_sp;
extern "C" void fiber_switch(void **save, void *to);
asm(".text\n.globl fiber_switch\n.type fiber_switch,@function\nfiber_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
static void *fresh(char *stack, void (*entry)()) {
  void **top = reinterpret_cast<void **>(stack + STACK - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void *>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  return top;
}
#else
#include <ucontext.h>
static ucontext_t contexts[1024], main_context;
static void *main_sp = &main_context;
static void fiber_switch(void **save, void *to) { swapcontext(static_cast<ucontext_t *>(*save), static_cast<ucontext_t *>(to)); }
static void *fresh(char *stack, void (*entry)()) {
  ucontext_t *context = &contexts[(stack - stacks) / STACK];
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = STACK;
  makecontext(context, entry, 0);
  return context;
}
#endif
ASAN(static void *main_fake; static const void *main_bottom; static size_t main_size;)
static void to_main(bool last) {
  ASAN(void *fake = nullptr; __sanitizer_start_switch_fiber(last ? nullptr : &fake, main_bottom, main_size);)
  (void)last;
  fiber_switch(&self->sp, main_sp);
  ASAN(__sanitizer_finish_switch_fiber(fake, &main_bottom, &main_size);)
}
static void to_thread(Thread &t) {
  self = &t;
  ASAN(__sanitizer_start_switch_fiber(&main_fake, t.stack, STACK);)
  fiber_switch(&main_sp, t.sp);
  ASAN(__sanitizer_finish_switch_fiber(main_fake, nullptr, nullptr);)
  self = nullptr;
}
static void entry() {
  ASAN(__sanitizer_finish_switch_fiber(nullptr, &main_bottom, &main_size);)
  body(kernel, parameters);
  self->state = DONE;
  to_main(true);
  abort();
}
static unsigned draw(unsigned n) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return unsigned(rng >> 11) % n;
}
// Every thread declares the same arrays in the same order, so it gets the same places; arrays are separated by an
// unused gap.
void *shared(size_t bytes) {
  const size_t at = self->shared_top;
  self->shared_top = (at + bytes + 31) & ~size_t(15);
  if (at + bytes > SHARED_BYTES) {
    snprintf(failure, sizeof failure, "more than %zu bytes of shared memory", SHARED_BYTES);
    stop();
  }
  if (std::find(arrays.begin(), arrays.end(), std::make_pair(at, at + bytes)) == arrays.end()) arrays.emplace_back(at, at + bytes);
  return arena + at;
}
bool shared_holds(uintptr_t at, size_t bytes) {
  const size_t from = at - uintptr_t(arena);
  return std::any_of(arrays.begin(), arrays.end(), [&](auto &array) { return from >= array.first && from + bytes <= array.second; });
}
void barrier(int line) {
  self->state = AT_BARRIER;
  self->line = line;
  to_main(false);
}
uint64_t warp_op(int op, unsigned mask, uint64_t value, unsigned source, int line, void *a, void *b, void *c) {
  Thread &t = *self;
  t.state = AT_WARP;
  t.op = op;
  t.mask = mask;
  t.value = value;
  t.source = source;
  t.line = line;
  t.args[0] = a;
  t.args[1] = b;
  t.args[2] = c;
  to_main(false);
  return self->result;
}
void stop() { to_main(true); }
template <class... A> static bool fail(const char *format, A... values) {
  snprintf(failure, sizeof failure, format, values...);
  return false;
}
static float half_of(unsigned word, int i) { return to_f32(bf16{uint16_t(word >> 16 * (i & 1))}); }
// Rows and columns by lane and element, from the PTX manual: "Matrix fragments for mma.m16n8k16 with floating point type".
static void mma(Thread *w) {
  float A[16][16], B[16][8];
  for (unsigned l = 0; l < 32; l++) {
    const unsigned group = l >> 2, in_group = l & 3;
    auto *a = static_cast<unsigned *>(w[l].args[1]);
    auto *b = static_cast<unsigned *>(w[l].args[2]);
    for (int i = 0; i < 8; i++) {
      const bool upper = i < 2 || (i >= 4 && i < 6);
      A[upper ? group : group + 8][in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)] = half_of(a[i / 2], i);
    }
    for (int i = 0; i < 4; i++) B[in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0)][group] = half_of(b[i / 2], i);
  }
  for (unsigned l = 0; l < 32; l++) {
    const unsigned group = l >> 2, in_group = l & 3;
    auto *d = static_cast<float *>(w[l].args[0]);
    for (int i = 0; i < 4; i++) {
      const unsigned row = i < 2 ? group : group + 8, column = in_group * 2 + (i & 1);
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += A[row][k] * B[k][column];
      d[i] += sum;
    }
  }
}
// Whether all lanes of lane `l`'s mask have arrived at its operation.
static bool arrived(Thread *w, unsigned lanes, unsigned l) {
  const unsigned mask = w[l].mask;
  if (!(mask >> l & 1)) return fail("line %d: lane %u is not in its own mask %08x", w[l].line, l, mask);
  bool all = true;
  for (unsigned m = 0; m < 32; m++) {
    if (!(mask >> m & 1)) continue;
    if (m >= lanes || w[m].state == DONE) return fail("line %d: the mask %08x names lane %u, which has ended", w[l].line, mask, m);
    if (w[m].state != AT_WARP) all = false;
    else if (w[m].op != w[l].op || w[m].mask != mask || w[m].line != w[l].line)
      return fail("lanes %u and %u of one mask are at different operations (lines %d and %d)", l, m, w[l].line, w[m].line);
  }
  return all;
}
// Performs the complete operations of a warp. False if there are none.
static bool warp_ready(Thread *w, unsigned lanes) {
  bool moved = false;
  for (unsigned l = 0; l < lanes && !failure[0]; l++) {
    if (w[l].state != AT_WARP || !arrived(w, lanes, l)) continue;
    const unsigned mask = w[l].mask;
    if (w[l].op == MMA) {
      if (mask != ~0u) return fail("line %d: mma of a part of a warp", w[l].line);
      mma(w);
    }
    for (unsigned m = 0; m < lanes && w[l].op == SHUFFLE; m++) {
      if (!(mask >> m & 1)) continue;
      if (w[m].source >= lanes || !(mask >> w[m].source & 1)) return fail("line %d: lane %u reads lane %u, which takes no part", w[m].line, m, w[m].source);
      w[m].result = w[w[m].source].value;
    }
    for (unsigned m = 0; m < lanes; m++) {
      if (!(mask >> m & 1)) continue;
      w[m].state = READY;
      w[m].warp_epoch++;  // all of these order memory among the participating lanes
    }
    moved = true;
  }
  return moved;
}
static void begin_block(unsigned n) {
  memset(arena, 0xff, sizeof arena);
  arrays.clear();
  if (race_block) race_block(serial++, arena, arena + sizeof arena);
  for (unsigned t = 0; t < n; t++) {
    Thread &x = threads[t];
    x = Thread{};
    x.stack = stacks + t * STACK;
    x.sp = fresh(x.stack, entry);
    x.tid = t;
    x.lane = t & 31;
    x.warp = t / 32;
    x.id = dim3(t % block_dim.x, t / block_dim.x % block_dim.y, t / (block_dim.x * block_dim.y));
  }
}
static void shuffled(std::vector<unsigned> &order) {
  for (unsigned i = 0; i < order.size(); i++) order[i] = i;
  if (seed)
    for (unsigned i = unsigned(order.size()); i > 1; i--) std::swap(order[i - 1], order[draw(i)]);
}
// Resolves what blocks the end of a block; false if that is an error.
static bool released(unsigned n) {
  unsigned waiting = 0, in_warp = 0;
  int line = 0, other = 0;
  for (unsigned t = 0; t < n; t++) {
    waiting += threads[t].state == AT_BARRIER;
    in_warp += threads[t].state == AT_WARP;
    if (threads[t].state == AT_BARRIER) (line == 0 || threads[t].line == line ? line : other) = threads[t].line;
  }
  if (in_warp) return fail("%u threads wait for lanes that wait at a barrier (line %d) or never come", in_warp, line);
  if (other) return fail("threads wait at different barriers, lines %d and %d", line, other);
  // Threads that have ended do not count (sm_70 and later).
  for (unsigned t = 0; t < n; t++)
    if (threads[t].state == AT_BARRIER) threads[t].state = READY;
  if (race_barrier) race_barrier();
  return true;
}
static bool run_block(unsigned n) {
  const unsigned warps = (n + 31) / 32;
  begin_block(n);
  std::vector<unsigned> order(n), warp_order(warps);
  auto in_warp = [&](unsigned w) { return std::min(32u, n - w * 32); };
  for (;;) {
    shuffled(order);
    shuffled(warp_order);
    if (seed & 1) {  // each warp runs as far as possible before the next one starts
      std::stable_sort(order.begin(), order.end(), [](unsigned a, unsigned b) { return a / 32 < b / 32; });
      for (unsigned w : warp_order)
        for (bool moved = true; moved && !failure[0];) {
          for (unsigned i = w * 32; i < w * 32 + in_warp(w); i++)
            if (threads[order[i]].state == READY && !failure[0]) to_thread(threads[order[i]]);
          moved = !failure[0] && warp_ready(&threads[w * 32], in_warp(w));
        }
    } else {  // all warps in step
      for (unsigned t : order)
        if (threads[t].state == READY && !failure[0]) to_thread(threads[t]);
      for (unsigned w : warp_order)
        if (!failure[0]) warp_ready(&threads[w * 32], in_warp(w));
    }
    if (failure[0]) return false;
    if (std::all_of(threads, threads + n, [](const Thread &t) { return t.state == DONE; })) return true;
    if (std::any_of(threads, threads + n, [](const Thread &t) { return t.state == READY; })) continue;
    if (!released(n)) return false;
  }
}
bool launch(Body b, void (*k)(), dim3 grid, dim3 block, void **p) {
  const unsigned n = block.x * block.y * block.z, blocks = grid.x * grid.y * grid.z;
  failure[0] = 0;
  if (n == 0 || n > 1024 || blocks == 0) return fail("%u threads in %u blocks", n, blocks);
  if (!stacks) stacks = static_cast<char *>(mmap(nullptr, 1024 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  body = b;
  kernel = k;
  parameters = p;
  grid_dim = grid;
  block_dim = block;
  rng = seed * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
  std::vector<unsigned> order(first_block ? 1 : blocks, first_block);
  if (!first_block) shuffled(order);
  for (unsigned i : order) {
    block_id = dim3(i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y));
    if (!run_block(n)) return false;
  }
  return true;
}
}  // namespace cpu
extern "C" const char *cuda_on_cpu_failure() { return cpu::failure; }
