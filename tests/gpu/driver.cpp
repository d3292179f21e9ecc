// A software driver and cuBLAS for programs that load libcuda.so.1 and libcublas.so.13: memory is the host's, kernels
// are the real ones compiled for the CPU (cuda_on_cpu.h), products are loops. It rehearses the acceptance without a
// GPU.
//
// EMULATED_GPU=dead: every call succeeds, but kernels and products do nothing. The acceptance must fail.
#include "../../src/train/engine/cuda/kernels/kernels.cu"
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <mutex>
#include <vector>

namespace {
typedef unsigned (*Kernel)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
struct Function {
  Kernel run;
  size_t (*parameter)(int);
};
// Recorded calls: nothing runs until the graph is launched, and what a driver refuses meanwhile is an error.
typedef std::vector<std::function<unsigned()>> Graph;
thread_local Graph *recording = nullptr;
thread_local bool invalid = false;
const unsigned UNSUPPORTED = 900, INVALIDATED = 901, IMPLICIT = 906;
unsigned refused(unsigned code) {
  invalid = true;
  return code;
}
// A call that waits, or asks for memory.
unsigned outside() { return recording ? refused(UNSUPPORTED) : 0; }
unsigned issue(void *stream, std::function<unsigned()> work) {
  if (!recording) return work();
  if (!stream) return refused(IMPLICIT);
  recording->push_back(work);
  return 0;
}
bool dead() {
  static const bool is = getenv("EMULATED_GPU") && !strcmp(getenv("EMULATED_GPU"), "dead");
  return is;
}
unsigned handle(void **to) {
  *to = reinterpret_cast<void *>(64);
  return 0;
}
// Not zeros, since nothing may rely on fresh memory. The dead device has zeros, which look like results.
unsigned allocate(u64 *to, size_t bytes) {
  if (const unsigned code = outside()) return code;
  void *at = malloc(bytes);
  memset(at, dead() ? 0 : 0xff, bytes);
  *to = reinterpret_cast<u64>(at);
  return at ? 0 : 2;
}
unsigned copy(void *stream, void *to, const void *from, size_t bytes) {
  return issue(stream, [=] {
    memmove(to, from, bytes);
    return 0u;
  });
}
unsigned fill(void *stream, u64 at, unsigned char byte, size_t bytes) {
  return issue(stream, [=] {
    memset(reinterpret_cast<void *>(at), byte, bytes);
    return 0u;
  });
}
float get(const void *at, int type, size_t index) { return type == 14 ? to_f32(static_cast<const bf16 *>(at)[index]) : static_cast<const float *>(at)[index]; }
// Column-major: c = alpha · op(a) · op(b) + beta · c.
unsigned multiply(const bool (&transposed)[2], const int (&size)[3], float alpha, const void *a, int a_type, int lda, const void *b, int b_type, int ldb, float beta, void *c, int c_type,
                  int ldc) {
  for (int column = 0; column < size[1]; column++)
    for (int row = 0; row < size[0]; row++) {
      float sum = 0.f;
      for (int k = 0; k < size[2]; k++)
        sum += get(a, a_type, transposed[0] ? size_t(row) * lda + k : size_t(k) * lda + row) * get(b, b_type, transposed[1] ? size_t(k) * ldb + column : size_t(column) * ldb + k);
      const size_t at = size_t(column) * ldc + row;
      const float value = alpha * sum + (beta == 0.f ? 0.f : beta * get(c, c_type, at));
      if (c_type == 14)
        static_cast<bf16 *>(c)[at] = to_bf16(value);
      else
        static_cast<float *>(c)[at] = value;
    }
  return 0;
}
thread_local void *products = nullptr;  // the stream of cuBLAS
struct Sizes {
  bool transposed[2];
  int size[3];
};
unsigned product(const Sizes &s, float alpha, const void *a, int a_type, int lda, const void *b, int b_type, int ldb, float beta, void *c, int c_type, int ldc) {
  if (dead()) return 0;
  return issue(products, [=] { return multiply(s.transposed, s.size, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc); });
}
}  // namespace

#define GIVES(name, parameters, ...) extern "C" unsigned name parameters { __VA_ARGS__; }
#define NOTHING(name) GIVES(name, (...), return 0)
typedef void *H;
NOTHING(cuInit)
GIVES(cuDriverGetVersion, (int *version), *version = 13000; return 0)
GIVES(cuDeviceGetCount, (int *count), *count = 1; return 0)
GIVES(cuDeviceGet, (int *device, int), *device = 0; return 0)
GIVES(cuDeviceGetName, (char *name, int room, int), snprintf(name, room, "emulated GPU"); return 0)
GIVES(cuDeviceTotalMem_v2, (size_t *bytes, int), *bytes = size_t(2) << 30; return 0)
GIVES(cuDeviceGetAttribute, (int *value, int attribute, int), *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1; return 0)
GIVES(cuDeviceGetDefaultMemPool, (H *pool, int), return handle(pool))
NOTHING(cuMemPoolSetAttribute)
GIVES(cuDevicePrimaryCtxRetain, (H *context, int), return handle(context))
NOTHING(cuDevicePrimaryCtxRelease_v2)
NOTHING(cuCtxSetCurrent)
GIVES(cuCtxGetCurrent, (H *context), return handle(context))
GIVES(cuEventCreate, (H *event, unsigned), return handle(event))
NOTHING(cuEventDestroy_v2)
NOTHING(cuEventRecord)
GIVES(cuEventElapsedTime, (float *milliseconds, H, H), *milliseconds = 1.f; return 0)
GIVES(cuStreamCreate, (H *stream, unsigned), return handle(stream))
NOTHING(cuStreamDestroy_v2)
GIVES(cuStreamSynchronize, (H), return outside())
extern "C" unsigned cuStreamBeginCapture_v2(H stream, int) {
  if (!stream || recording) return refused(UNSUPPORTED);
  recording = new Graph;
  invalid = false;
  return 0;
}
extern "C" unsigned cuStreamEndCapture(H, H *graph) {
  *graph = recording;
  recording = nullptr;
  if (!invalid) return 0;
  delete static_cast<Graph *>(*graph);
  *graph = nullptr;
  return INVALIDATED;
}
GIVES(cuGraphInstantiateWithFlags, (H *executable, H graph, u64), *executable = new Graph(*static_cast<Graph *>(graph)); return 0)
GIVES(cuGraphDestroy, (H graph), delete static_cast<Graph *>(graph); return 0)
GIVES(cuGraphExecDestroy, (H executable), delete static_cast<Graph *>(executable); return 0)
extern "C" unsigned cuGraphLaunch(H executable, H stream) {
  return issue(stream, [executable] {
    for (const auto &work : *static_cast<Graph *>(executable))
      if (const unsigned code = work()) return code;
    return 0u;
  });
}
NOTHING(cuStreamWaitEvent)
GIVES(cuMemAllocAsync, (u64 *at, size_t bytes, H), return allocate(at, bytes))
GIVES(cuMemAlloc_v2, (u64 *at, size_t bytes), return allocate(at, bytes))
GIVES(cuMemFreeAsync, (u64 at, H), if (outside()) return UNSUPPORTED; free(reinterpret_cast<void *>(at)); return 0)
GIVES(cuMemFree_v2, (u64 at), if (outside()) return UNSUPPORTED; free(reinterpret_cast<void *>(at)); return 0)
GIVES(cuMemAllocHost_v2, (H *at, size_t bytes), if (outside()) return UNSUPPORTED; *at = malloc(bytes); return *at ? 0 : 2)
GIVES(cuMemFreeHost, (H at), free(at); return 0)
GIVES(cuMemGetInfo_v2, (size_t *free, size_t *total), *free = *total = size_t(2) << 30; return 0)
GIVES(cuMemcpyDtoDAsync_v2, (H to, H from, size_t bytes, H stream), return copy(stream, to, from, bytes))
GIVES(cuMemcpyDtoD_v2, (H to, H from, size_t bytes), return copy(nullptr, to, from, bytes))
GIVES(cuMemcpyDtoHAsync_v2, (H to, H from, size_t bytes, H stream), return copy(stream, to, from, bytes))
GIVES(cuMemcpyDtoH_v2, (H to, H from, size_t bytes), return copy(nullptr, to, from, bytes))
GIVES(cuMemcpyHtoDAsync_v2, (H to, H from, size_t bytes, H stream), return copy(stream, to, from, bytes))
GIVES(cuMemcpyHtoD_v2, (H to, H from, size_t bytes), return copy(nullptr, to, from, bytes))
GIVES(cuMemsetD8Async, (u64 at, unsigned char byte, size_t bytes, H stream), return fill(stream, at, byte, bytes))
GIVES(cuMemsetD8_v2, (u64 at, unsigned char byte, size_t bytes), return fill(nullptr, at, byte, bytes))
GIVES(cuModuleLoad, (H *module, const char *), return handle(module))
GIVES(cuModuleLoadData, (H *module, const void *), return handle(module))
NOTHING(cuModuleUnload)
extern "C" unsigned cuModuleGetFunction(H *function, H, const char *name) {
  static void *self = [] {
    Dl_info here;
    return dladdr(reinterpret_cast<void *>(&cuModuleGetFunction), &here) ? dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  }();
  auto find = [&](const char *part) {
    char symbol[128];
    snprintf(symbol, sizeof symbol, "%s__%s", name, part);
    return self ? dlsym(self, symbol) : nullptr;
  };
  const Function found = {reinterpret_cast<Kernel>(find("cpu")), reinterpret_cast<size_t (*)(int)>(find("parameter"))};
  *function = new Function(found);  // for good, as there are few
  return found.run && found.parameter ? 0 : 500;
}
extern "C" unsigned cuLaunchKernel(H function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, H stream, void **parameters, void **) {
  if (dead()) return 0;
  const Function &of = *static_cast<Function *>(function);
  // A launch copies its parameters.
  std::vector<std::vector<u64>> copies;
  for (int i = 0; const size_t bytes = of.parameter(i); i++) {
    copies.emplace_back((bytes + 7) / 8);
    memcpy(copies.back().data(), parameters[i], bytes);
  }
  return issue(stream, [=] {
    static std::mutex one;  // there is one fiber scheduler per process
    const std::lock_guard<std::mutex> held(one);
    auto values = copies;
    std::vector<void *> pointers;
    for (auto &value : values) pointers.push_back(value.data());
    if (of.run(gx, gy, gz, bx, by, bz, pointers.data()) == 0) return 0u;
    fprintf(stderr, "emulated GPU: %s\n", cpu::failure);
    return 719u;
  });
}
GIVES(cublasCreate_v2, (H *blas), return handle(blas))
NOTHING(cublasDestroy_v2)
GIVES(cublasGetProperty, (int part, int *number), *number = part == 0 ? 13 : 0; return 0)
GIVES(cublasSetStream_v2, (H, H stream), products = stream; return 0)
NOTHING(cublasSetWorkspace_v2)
extern "C" unsigned cublasSgemm_v2(H, int a_op, int b_op, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
  return product({{a_op == 1, b_op == 1}, {m, n, k}}, *alpha, a, 0, lda, b, 0, ldb, *beta, c, 0, ldc);
}
extern "C" unsigned cublasGemmEx(H, int a_op, int b_op, int m, int n, int k, const float *alpha, const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
                                 void *c, int c_type, int ldc, int, int) {
  return product({{a_op == 1, b_op == 1}, {m, n, k}}, *alpha, a, a_type, lda, b, b_type, ldb, *beta, c, c_type, ldc);
}
