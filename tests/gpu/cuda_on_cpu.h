// Runs CUDA C kernels on the CPU, one fiber per GPU thread, so that the source compiled by nvcc can be tested without a
// GPU.
//
// Between two synchronisations, the threads of a block run in an order permuted by a seed, which may run whole warps
// ahead of others. Shared memory is poisoned before each block. A warp operation is performed when all lanes of its
// mask have arrived. Undefined behaviour in CUDA ends a launch with a message: lanes missing under a mask or at
// different operations, threads waiting at different barriers, a barrier that never fills. With -fsanitize=thread and
// race.cpp (instead of libtsan), every access is also checked.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#define __global__
#define __device__
// Forced, because the access checker would miss the store of a call's return value.
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__
#define __launch_bounds__(...)
#define NOT_TRACED __attribute__((no_sanitize("thread"), noinline))

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };

// bfloat16, rounded to the nearest even; NaN stays NaN. -DFINER replaces it by an artificial 16-bit format with 9
// instead of 7 fraction bits and 6 exponent bits: rounding errors must then shrink to about a quarter.
struct bf16 { uint16_t bits; };
#ifdef FINER
constexpr uint32_t LEAST = (127 - 31) << 23;  // 2^-31, represented by exponent 0; smaller numbers become 0
__forceinline__ float to_f32(bf16 x) {
  const uint32_t size = x.bits & 0x7fff;
  const uint32_t u = uint32_t(x.bits & 0x8000) << 16 | (size == 0 ? 0 : size == 0x7fff ? 0x7fc00000 : (size << 14) + LEAST);
  float f;
  memcpy(&f, &u, 4);
  return f;
}
__forceinline__ bf16 to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  const uint32_t sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
  if (size <= LEAST) return bf16{uint16_t(sign)};
  const uint32_t above = size - LEAST, rounded = (above + 0x1fff + (above >> 14 & 1)) >> 14;
  return bf16{uint16_t(sign | (rounded < 0x7fff ? rounded : 0x7fff))};
}
#else
__forceinline__ float to_f32(bf16 x) {
  uint32_t u = uint32_t(x.bits) << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
__forceinline__ bf16 to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return bf16{uint16_t(u >> 16 | 64)};
  return bf16{uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
#endif
// For the emulated GPU's cuBLAS.
extern "C" inline __attribute__((used)) float bf16_to_f32(uint16_t bits) { return to_f32(bf16{bits}); }
extern "C" inline __attribute__((used)) uint16_t f32_to_bf16(float x) { return to_bf16(x).bits; }

namespace cpu {
enum Op { SYNCWARP, SHUFFLE, MMA };
enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Thread {
  void *sp = nullptr;
  char *stack = nullptr;
  dim3 id;
  unsigned tid = 0, lane = 0, warp = 0;
  State state = READY;
  int line = 0, op = 0;
  unsigned mask = 0, source = 0;
  uint64_t value = 0, result = 0;
  void *args[3] = {};
  unsigned warp_epoch = 0;
  size_t shared_top = 0;
};
extern Thread *self;  // the running thread
extern dim3 block_id, block_dim, grid_dim;
constexpr size_t SHARED_BYTES = 48 << 10;  // maximum a kernel may declare without a driver setting
void *shared(size_t bytes);
bool shared_holds(uintptr_t at, size_t bytes);  // whether an array declared by the kernel contains the range
void barrier(int line);
uint64_t warp_op(int op, unsigned mask, uint64_t value, unsigned source, int line, void *a = nullptr, void *b = nullptr, void *c = nullptr);
void stop();  // ends this launch, with a message in `failure`
using Body = void (*)(void (*)(), void **);
// Runs all blocks; false, with a message in `failure`, for undefined behaviour.
bool launch(Body body, void (*kernel)(), dim3 grid, dim3 block, void **parameters);
extern char failure[512];
extern uint64_t seed;         // order of blocks, warps and threads; 0: ascending
extern unsigned first_block;  // runs only one block of a large grid; 0: all
// Linked list of the program's kernels.
struct Known {
  const char *name;
  Known *next;
  explicit Known(const char *name);
};
extern Known *known;
template <class... A, std::size_t... I> NOT_TRACED void unpack(void (*kernel)(A...), void **p, std::index_sequence<I...>) {
  kernel(*static_cast<typename std::remove_reference<A>::type *>(p[I])...);
}
template <class... A> NOT_TRACED void call(void (*kernel)(), void **p) {
  unpack(reinterpret_cast<void (*)(A...)>(kernel), p, std::index_sequence_for<A...>{});
}
template <class... A> bool run(void (*kernel)(A...), dim3 grid, dim3 block, void **p) {
  return launch(&call<A...>, reinterpret_cast<void (*)()>(kernel), grid, block, p);
}
// Bytes of parameter `i` of a kernel; 0 after the last one.
template <class... A> size_t parameter(void (*)(A...), int i) {
  const size_t bytes[] = {sizeof(A)..., 0};
  return i < int(sizeof...(A)) ? bytes[i] : 0;
}
}  // namespace cpu

#define SHARED(type, name, n) type *const name = static_cast<type *>(cpu::shared(sizeof(type) * (n)))
// The emulated GPU and the tests find a kernel by its name: `NAME__cpu`, and `NAME__parameter` for the sizes of its parameters.
#define KERNEL(name)                                                                                                                  \
  static cpu::Known name##__known(#name);                                                                                            \
  extern "C" int name##__cpu(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, void **p) {               \
    return cpu::run(name, dim3(gx, gy, gz), dim3(bx, by, bz), p) ? 0 : 719;                                                           \
  }                                                                                                                                  \
  extern "C" size_t name##__parameter(int i) { return cpu::parameter(name, i); }

#define threadIdx (cpu::self->id)
#define blockIdx (cpu::block_id)
#define blockDim (cpu::block_dim)
#define gridDim (cpu::grid_dim)
#define __syncthreads() cpu::barrier(__LINE__)
#define __syncwarp() ((void)cpu::warp_op(cpu::SYNCWARP, ~0u, 0, 0, __LINE__))
#define __shfl_xor_sync(mask, v, x) cpu_shuffle(mask, v, cpu::self->lane ^ (x), __LINE__)
template <class T> T cpu_shuffle(unsigned mask, T v, unsigned source, int line) {
  uint64_t bits = 0;
  memcpy(&bits, &v, sizeof v);
  bits = cpu::warp_op(cpu::SHUFFLE, mask, bits, source, line);
  memcpy(&v, &bits, sizeof v);
  return v;
}
inline void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  cpu::warp_op(cpu::MMA, ~0u, 0, 0, __LINE__, d, const_cast<unsigned *>(a), const_cast<unsigned *>(b));
}
inline float __expf(float x) { return expf(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
