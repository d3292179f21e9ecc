// What dfdx's kernels need of CUDA beyond cuda_on_cpu.h. The emulated GPU compiles them from dfdx's sources. Atomics are
// plain, since one thread runs at a time.
#pragma once
#include "cuda_on_cpu.h"
#include <algorithm>
#include <cassert>
#include <math.h>
using std::isnan;
using std::max;
using std::min;
using std::signbit;

#define __CUDA_ARCH__ 800
#undef __device__
#define __device__ inline
#undef __forceinline__
#define __forceinline__ __attribute__((always_inline))
// One for all threads of a block; blocks run one after another.
#define __shared__ static

template <class T> T atomicAdd(T *at, T value) { return std::exchange(*at, *at + value); }
template <class T, class V> T atomicMax(T *at, V value) { return std::exchange(*at, max(*at, T(value))); }
template <class T, class V> T atomicMin(T *at, V value) { return std::exchange(*at, min(*at, T(value))); }
template <class T> T atomicCAS(T *at, T expected, T value) { return *at == expected ? std::exchange(*at, value) : *at; }
template <class To, class From> To bits_of(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
#define __float_as_int bits_of<int>
#define __float_as_uint bits_of<unsigned>
#define __int_as_float bits_of<float>
#define __uint_as_float bits_of<float>
#define __double_as_longlong bits_of<long long>
#define __longlong_as_double bits_of<double>

// Half precision must compile but is never used: any type other than float and double will do.
typedef long double __half;
#define __half2float float
#define __float2half __half
#define __half_as_ushort(x) static_cast<unsigned short>(x)
#define __ushort_as_half __half
#define __hisnan isnan
#define __hmax_nan max
#define __hmin_nan min
#define __habs fabsl
#define hcos cosl
#define hsin sinl
#define hsqrt sqrtl
#define hexp expl
#define hlog logl
