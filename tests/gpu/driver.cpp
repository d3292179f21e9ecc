// A software driver and cuBLAS for programs that load libcuda.so.1 and libcublas.so.13: memory is the host's, kernels
// are the real ones compiled for the CPU (cuda_on_cpu.h), products are loops. It rehearses the acceptance without a
// GPU.
//
// EMULATED_GPU=dead: every call succeeds, but kernels and products do nothing. The acceptance must fail.
#include "../../src/train/engine/cuda/kernels/kernels.cu"
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>

namespace {
typedef unsigned (*Kernel)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
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
  void *at = malloc(bytes);
  memset(at, dead() ? 0 : 0xff, bytes);
  *to = reinterpret_cast<u64>(at);
  return at ? 0 : 2;
}
unsigned copy(void *to, const void *from, size_t bytes) {
  memmove(to, from, bytes);
  return 0;
}
unsigned fill(u64 at, unsigned char byte, size_t bytes) {
  memset(reinterpret_cast<void *>(at), byte, bytes);
  return 0;
}
float get(const void *at, int type, size_t index) { return type == 14 ? to_f32(static_cast<const bf16 *>(at)[index]) : static_cast<const float *>(at)[index]; }
// Column-major: c = alpha · op(a) · op(b) + beta · c.
unsigned product(const bool (&transposed)[2], const int (&size)[3], float alpha, const void *a, int a_type, int lda, const void *b, int b_type, int ldb, float beta, void *c, int c_type,
                 int ldc) {
  if (dead()) return 0;
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
NOTHING(cuStreamSynchronize)
NOTHING(cuStreamWaitEvent)
GIVES(cuMemAllocAsync, (u64 *at, size_t bytes, H), return allocate(at, bytes))
GIVES(cuMemAlloc_v2, (u64 *at, size_t bytes), return allocate(at, bytes))
GIVES(cuMemFreeAsync, (u64 at, H), free(reinterpret_cast<void *>(at)); return 0)
GIVES(cuMemFree_v2, (u64 at), free(reinterpret_cast<void *>(at)); return 0)
GIVES(cuMemAllocHost_v2, (H *at, size_t bytes), *at = malloc(bytes); return *at ? 0 : 2)
GIVES(cuMemFreeHost, (H at), free(at); return 0)
GIVES(cuMemGetInfo_v2, (size_t *free, size_t *total), *free = *total = size_t(2) << 30; return 0)
GIVES(cuMemcpyDtoDAsync_v2, (H to, H from, size_t bytes, H), return copy(to, from, bytes))
GIVES(cuMemcpyDtoD_v2, (H to, H from, size_t bytes), return copy(to, from, bytes))
GIVES(cuMemcpyDtoHAsync_v2, (H to, H from, size_t bytes, H), return copy(to, from, bytes))
GIVES(cuMemcpyDtoH_v2, (H to, H from, size_t bytes), return copy(to, from, bytes))
GIVES(cuMemcpyHtoDAsync_v2, (H to, H from, size_t bytes, H), return copy(to, from, bytes))
GIVES(cuMemcpyHtoD_v2, (H to, H from, size_t bytes), return copy(to, from, bytes))
GIVES(cuMemsetD8Async, (u64 at, unsigned char byte, size_t bytes, H), return fill(at, byte, bytes))
GIVES(cuMemsetD8_v2, (u64 at, unsigned char byte, size_t bytes), return fill(at, byte, bytes))
GIVES(cuModuleLoad, (H *module, const char *), return handle(module))
GIVES(cuModuleLoadData, (H *module, const void *), return handle(module))
NOTHING(cuModuleUnload)
extern "C" unsigned cuModuleGetFunction(H *function, H, const char *name) {
  static void *self = [] {
    Dl_info here;
    return dladdr(reinterpret_cast<void *>(&cuModuleGetFunction), &here) ? dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  }();
  char symbol[128];
  snprintf(symbol, sizeof symbol, "%s__cpu", name);
  *function = self ? dlsym(self, symbol) : nullptr;
  return *function ? 0 : 500;
}
extern "C" unsigned cuLaunchKernel(H function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, H, void **parameters, void **) {
  if (dead()) return 0;
  static std::mutex one;  // there is one fiber scheduler per process
  const std::lock_guard<std::mutex> held(one);
  if (reinterpret_cast<Kernel>(function)(gx, gy, gz, bx, by, bz, parameters) == 0) return 0;
  fprintf(stderr, "emulated GPU: %s\n", cpu::failure);
  return 719;
}
GIVES(cublasCreate_v2, (H *blas), return handle(blas))
NOTHING(cublasDestroy_v2)
GIVES(cublasGetProperty, (int part, int *number), *number = part == 0 ? 13 : 0; return 0)
NOTHING(cublasSetStream_v2)
NOTHING(cublasSetWorkspace_v2)
extern "C" unsigned cublasSgemm_v2(H, int a_op, int b_op, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
  return product({a_op == 1, b_op == 1}, {m, n, k}, *alpha, a, 0, lda, b, 0, ldb, *beta, c, 0, ldc);
}
extern "C" unsigned cublasGemmEx(H, int a_op, int b_op, int m, int n, int k, const float *alpha, const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
                                 void *c, int c_type, int ldc, int, int) {
  return product({a_op == 1, b_op == 1}, {m, n, k}, *alpha, a, a_type, lda, b, b_type, ldb, *beta, c, c_type, ldc);
}
