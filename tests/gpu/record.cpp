// Records launches for other ways of running kernels: the PTX interpreter (ptx/) and GPUs (`specbook gpu-acceptance`).
#include "harness.h"

std::map<char *, Extent> extents;
static FILE *out;

void record_into(const char *file) {
  out = fopen(file, "wb");
  if (!out || fputs("specbook.launches.1\n", out) < 0) {
    perror(file);
    exit(2);
  }
  atexit([] {
    if (fclose(out)) abort();
  });
}
static void put(const void *at, size_t bytes) {
  if (fwrite(at, 1, bytes, out) != bytes) abort();
}
static void put32(uint32_t value) { put(&value, 4); }
static void put64(uint64_t value) { put(&value, 8); }
static void put_text(const char *text) {
  put32(uint32_t(strlen(text)));
  put(text, strlen(text));
}
static uint64_t word_at(const void *at) {
  uint64_t word;
  memcpy(&word, at, 8);
  return word;
}
// Records the buffer a pointer refers to, and the buffers that it points to.
void Recording::reach(uint64_t pointer) {
  auto found = extents.upper_bound(reinterpret_cast<char *>(pointer));
  if (found == extents.begin()) return;
  const auto &[at, extent] = *--found;
  const bool inside = pointer - uint64_t(at) < extent.bytes;
  if (!inside || std::any_of(buffers.begin(), buffers.end(), [at = at](const Reached &b) { return b.at == at; })) return;
  char *const stored = at + extent.from;
  buffers.push_back({at, extent, std::vector<char>(stored, stored + extent.stored)});
  for (size_t i = 0; extent.kind == 'p' && i < extent.stored; i += 8) reach(word_at(stored + i));
}
void Recording::put_target(uint64_t pointer) const {
  for (size_t i = 0; i < buffers.size(); i++)
    if (pointer - uint64_t(buffers[i].at) < buffers[i].extent.bytes) {
      put32(uint32_t(i));
      put64(pointer - uint64_t(buffers[i].at));
      return;
    }
  put32(~0u);
  put64(0);
}
Recording::Recording(bool wanted, const char *kernel, const char *test, double allowed, dim3 grid, dim3 block, void **parameters, const std::vector<size_t> &sizes) {
  if (!wanted || !out) return;
  put_text(kernel);
  put_text(test);
  for (unsigned v : {cpu::first_block, grid.x, grid.y, grid.z, block.x, block.y, block.z}) put32(v);
  put(&allowed, 8);
  auto pointer = [&](size_t i) { return sizes[i] == 8 ? word_at(parameters[i]) : 0; };
  for (size_t i = 0; i < sizes.size(); i++) reach(pointer(i));
  put32(uint32_t(sizes.size()));
  for (size_t i = 0; i < sizes.size(); i++) {
    put32(uint32_t(sizes[i]));
    put(parameters[i], sizes[i]);
    put_target(pointer(i));
  }
}
Recording::~Recording() {
  if (!out || buffers.empty()) return;
  put32(uint32_t(buffers.size()));
  for (const Reached &b : buffers) {
    const Extent &e = b.extent;
    const char *now = b.at + e.from;
    put_text(e.name);
    put32(uint32_t(e.kind));
    put64(e.bytes);
    put64(e.from);
    put64(e.stored);
    put(b.before.data(), e.stored);
    const bool changed = memcmp(now, b.before.data(), e.stored) != 0;
    put32(changed);
    if (changed) put(now, e.stored);
    std::vector<size_t> pointers;
    for (size_t i = 0; e.kind == 'p' && i < e.stored; i += 8) {
      const uint64_t word = word_at(&b.before[i]);
      if (std::any_of(buffers.begin(), buffers.end(), [&](const Reached &r) { return word - uint64_t(r.at) < r.extent.bytes; })) pointers.push_back(i);
    }
    put32(uint32_t(pointers.size()));
    for (size_t i : pointers) {
      put64(i);
      put_target(word_at(&b.before[i]));
    }
  }
}
