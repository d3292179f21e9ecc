// Finds races, uninitialised reads, stray and misaligned accesses in kernels that run under cuda_on_cpu.h.
//
// The kernels are compiled with -fsanitize=thread, whose calls (`__tsan_read4`, …) arrive here instead of in libtsan.
// Two accesses to one address by different threads, one of them a write, are a race unless separated by a barrier of
// the block or an operation of their warp; threads of different blocks are never ordered. So a race is found regardless
// of the order in this run.
#include "cuda_on_cpu.h"
#include <cstdio>
#include <map>
#include <string>
#include <vector>
#define HOOK extern "C" __attribute__((visibility("default")))
struct Access { unsigned serial = ~0u, tid = 0, barrier = 0, warp = 0; };
struct Cell { Access write, read[2]; bool written = false; };
struct Region {
  uintptr_t at, end;
  const char *name;
  bool shared;
  std::vector<Cell> cells;  // one for two bytes
};
static std::map<uintptr_t, Region> regions;
static unsigned block_serial, barriers, found;
static std::string first;
static Region *last_hit;
extern char __executable_start, end;

HOOK void race_watch(void *at, size_t bytes, const char *name, int initialised) {
  Region r{uintptr_t(at), uintptr_t(at) + bytes, name, false, std::vector<Cell>((bytes + 1) / 2)};
  for (Cell &c : r.cells) c.written = initialised;
  regions[uintptr_t(at)] = std::move(r);
  last_hit = nullptr;
}
HOOK void race_forget(void *at) {
  regions.erase(uintptr_t(at));
  last_hit = nullptr;
}
// A new launch: everything before it is ordered.
HOOK void race_launch() {
  for (auto &[_, r] : regions)
    for (Cell &c : r.cells) c.write = c.read[0] = c.read[1] = Access{};
}
HOOK unsigned race_found(const char **text) {
  *text = first.c_str();
  return found;
}
HOOK void race_reset() {
  found = 0;
  first.clear();
  race_launch();
}
// The host has written all of a buffer.
HOOK void race_written(void *at) {
  auto it = regions.find(uintptr_t(at));
  if (it != regions.end())
    for (Cell &c : it->second.cells) c.written = true;
}
HOOK int race_unwritten(void *at) {
  auto it = regions.find(uintptr_t(at));
  int count = 0;
  if (it != regions.end())
    for (Cell &c : it->second.cells) count += !c.written;
  return count;
}
HOOK void race_block(unsigned serial, char *shared, char *end) {
  block_serial = serial;
  barriers = 0;
  last_hit = nullptr;
  Region &r = regions[uintptr_t(shared)];
  r.at = uintptr_t(shared);
  r.end = uintptr_t(end);
  r.name = "shared memory";
  r.shared = true;
  r.cells.assign((end - shared + 1) / 2, Cell{});
}
HOOK void race_barrier() { barriers++; }

static void report(const char *what, const Region *r, uintptr_t at, void *pc, const Access *other) {
  const bool race = strstr(what, "race") != nullptr;
  if (found++ && race) return;
  std::string after;
  if (other) after = ", after thread " + std::to_string(other->tid) + (other->serial == block_serial ? " of this block" : " of another block");
  char text[400];
  snprintf(text, sizeof text, "%s of %s at byte %ld by block %u thread %u%s (pc %p)", what, r ? r->name : "no buffer", r ? long(at - r->at) : long(at),
           cpu::block_id.x, cpu::self->tid, after.c_str(), (void *)((char *)pc - (char *)&__executable_start));
  if (first.empty()) first = text;
  if (race) return;
  snprintf(cpu::failure, sizeof cpu::failure, "%s", text);
  cpu::stop();
}
static bool ordered(const Access &a) {
  if (a.serial == ~0u) return true;
  if (a.serial != block_serial) return false;
  if (a.tid == cpu::self->tid || a.barrier < barriers) return true;
  return a.tid / 32 == cpu::self->warp && a.warp < cpu::self->warp_epoch;
}
static Region *region_of(uintptr_t at) {
  if (last_hit && at >= last_hit->at && at < last_hit->end) return last_hit;
  auto it = regions.upper_bound(at);
  Region *r = it == regions.begin() ? nullptr : &std::prev(it)->second;
  return last_hit = r && at < r->end ? r : nullptr;
}
static void access(void *p, unsigned size, bool write, void *pc) {
  if (!cpu::self) return;
  const uintptr_t at = uintptr_t(p);
  Region *r = region_of(at);
  if (!r) {
    const bool own_stack = at >= uintptr_t(cpu::self->stack) && at < uintptr_t(cpu::self->stack) + (64 << 10);
    const bool program = at >= uintptr_t(&__executable_start) && at < uintptr_t(&end);
    if (!own_stack && !program) report(write ? "stray write" : "stray read", nullptr, at, pc, nullptr);
    return;
  }
  if (at + size > r->end || (r->shared && !cpu::shared_holds(at, size))) return report(write ? "write beyond the end" : "read beyond the end", r, at, pc, nullptr);
  if (at % size && size <= 16) return report("misaligned access", r, at, pc, nullptr);
  const Access now{block_serial, cpu::self->tid, barriers, cpu::self->warp_epoch};
  for (uintptr_t g = (at - r->at) / 2; g < (at - r->at + size + 1) / 2; g++) {
    Cell &c = r->cells[g];
    if (!write && !c.written) return report("read of what nobody wrote", r, at, pc, nullptr);
    if (!ordered(c.write)) return report(write ? "race: write after write" : "race: read after write", r, at, pc, &c.write);
    if (write) {
      for (Access &a : c.read)
        if (!ordered(a)) return report("race: write after read", r, at, pc, &a);
      c.write = now;
      c.written = true;
      c.read[0] = c.read[1] = Access{};
    } else {
      if (c.read[0].tid != now.tid || c.read[0].serial != now.serial) c.read[1] = c.read[0];
      c.read[0] = now;
    }
  }
}
#define PC __builtin_return_address(0)
#define SIZED(n)                                                               \
  HOOK void __tsan_read##n(void *p) { access(p, n, false, PC); }               \
  HOOK void __tsan_write##n(void *p) { access(p, n, true, PC); }               \
  HOOK void __tsan_unaligned_read##n(void *p) { access(p, n, false, PC); }     \
  HOOK void __tsan_unaligned_write##n(void *p) { access(p, n, true, PC); }
SIZED(1)
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(16)
HOOK void __tsan_read_range(void *p, unsigned long n) { access(p, unsigned(n), false, PC); }
HOOK void __tsan_write_range(void *p, unsigned long n) { access(p, unsigned(n), true, PC); }
HOOK void __tsan_init() {}
HOOK void __tsan_func_entry(void *) {}
HOOK void __tsan_func_exit() {}
