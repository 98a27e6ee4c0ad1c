// CUDA's words for g++ -std=c++17.
#pragma once

#include <math.h>  // libstdc++'s: sqrt(float), isnan and the like are global overloads, as in CUDA
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#define EMU_ACQUIRE(p) __tsan_acquire(p)
#define EMU_RELEASE(p) __tsan_release(p)
#else
#define EMU_ACQUIRE(p) ((void)0)
#define EMU_RELEASE(p) ((void)0)
#endif

// NVRTC knows no such macros.
#undef INFINITY
#undef NAN

#define EMU_API __attribute__((visibility("default")))
// The emulator's own code is not what the sanitizers are to look at.
#define EMU_UNSEEN __attribute__((no_sanitize("address", "undefined", "thread")))
#define EMU_UNSEEN_CALL EMU_UNSEEN __attribute__((noinline))
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EMU_INLINE EMU_UNSEEN inline
#else
#define EMU_INLINE inline
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

// Shared memory. In checked builds one block of the heap, of the exact size, for each CUDA block and variable.
#ifdef EMU_CHECK
#define __shared__ static
#define GJ_SHARED(T, name, N)     \
  static char name##_address;     \
  T(&name)[N] = *reinterpret_cast<T(*)[N]>(emu::shared_variable(&name##_address, sizeof(T) * (N)))
#else
#define __shared__ static thread_local
#define GJ_SHARED(T, name, N) static thread_local T name[N]
#endif
#define GJ_DYN_SHARED(T, name) T* name = reinterpret_cast<T*>(emu::dynamic_shared())

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
#define EMU_VECTORS(T, name)                                                                            \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                                    \
  struct name##3 { T x, y, z; };                                                                        \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; };                    \
  static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                     \
  static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                             \
  static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMU_VECTORS(float, float)
EMU_VECTORS(double, double)
EMU_VECTORS(int, int)
EMU_VECTORS(unsigned char, uchar)
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

static thread_local uint3 threadIdx, blockIdx;
static thread_local dim3 blockDim, gridDim;
static constexpr int warpSize = 32;
