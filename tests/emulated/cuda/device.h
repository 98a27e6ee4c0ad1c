// CUDA's device functions: barriers, warp operations, atomics, mathematics.
#pragma once

namespace emu {

template <class T>
uint64_t bits(T v) {
  static_assert(sizeof(T) <= 8);
  uint64_t u = 0;
  memcpy(&u, &v, sizeof v);
  return u;
}
template <class T>
T value(uint64_t u) {
  T v;
  memcpy(&v, &u, sizeof v);
  return v;
}
template <class T>
using Same = typename std::enable_if<true, T>::type;  // a parameter that converts, and does not deduce

static inline int lane() { return self->thread & 31; }
static inline unsigned mask_of(unsigned mask = ALL_LANES) { return mask; }

// The lane a shuffle reads, within groups of ``width`` lanes; its own where that lies outside the group.
static inline int indexed(int source, int width) { return (lane() & ~(width - 1)) | (source & (width - 1)); }
static inline int shifted(int by, int width) {
  const int source = (lane() & (width - 1)) + by;
  return source >= 0 && source < width ? (lane() & ~(width - 1)) + source : lane();
}
static inline int crossed(int mask, int width) {
  const int source = lane() ^ mask;
  return source < (lane() & ~(width - 1)) + width ? source : lane();
}
template <class T>
T shuffle(unsigned mask, T v, int source, int line) {
  return value<T>(warp_op(SHUFFLE, mask, bits(v), source, line));
}

// Optional last arguments of macros: EMU_WIDTH(d) is 32, EMU_WIDTH(d, 16) is 16.
#define EMU_SECOND(a, b, ...) b
#define EMU_FIRST(a, ...) a
#define EMU_WIDTH(...) EMU_SECOND(__VA_ARGS__, 32, 32)

}  // namespace emu

#define __syncthreads() emu::syncthreads(__LINE__ << 8 | (__COUNTER__ & 255))  // two barriers of a line stay apart
#define __syncwarp(...) ((void)emu::warp_op(emu::SYNC, emu::mask_of(__VA_ARGS__), 0, 0, __LINE__))
#define __shfl_sync(mask, v, ...) \
  emu::shuffle(mask, v, emu::indexed(EMU_FIRST(__VA_ARGS__, 0), EMU_WIDTH(__VA_ARGS__)), __LINE__)
#define __shfl_down_sync(mask, v, ...) \
  emu::shuffle(mask, v, emu::shifted((int)(EMU_FIRST(__VA_ARGS__, 0)), EMU_WIDTH(__VA_ARGS__)), __LINE__)
#define __shfl_up_sync(mask, v, ...) \
  emu::shuffle(mask, v, emu::shifted(-(int)(EMU_FIRST(__VA_ARGS__, 0)), EMU_WIDTH(__VA_ARGS__)), __LINE__)
#define __shfl_xor_sync(mask, v, ...) \
  emu::shuffle(mask, v, emu::crossed(EMU_FIRST(__VA_ARGS__, 0), EMU_WIDTH(__VA_ARGS__)), __LINE__)
#define __ballot_sync(mask, p) ((unsigned)emu::warp_op(emu::BALLOT, mask, (p) != 0, 0, __LINE__))
#define __any_sync(mask, p) (__ballot_sync(mask, p) != 0)
#define __all_sync(mask, p) (__ballot_sync(mask, !(p)) == 0)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block() ((void)0)

template <class T>
T atomicCAS(T* p, emu::Same<T> expected, emu::Same<T> v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <class T, class F>
T emu_update(T* p, F change) {  // any read-modify-write, through an integer of the same size
  using U = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  U* u = reinterpret_cast<U*>(p);
  U old = __atomic_load_n(u, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(u, &old, (U)emu::bits<T>(change(emu::value<T>(old))), true, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
  return emu::value<T>(old);
}
template <class T>
T atomicAdd(T* p, emu::Same<T> v) {
  return emu_update(p, [v](T old) { return T(old + v); });
}
template <class T>
T atomicSub(T* p, emu::Same<T> v) {
  return emu_update(p, [v](T old) { return T(old - v); });
}
template <class T>
T atomicOr(T* p, emu::Same<T> v) {
  return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicAnd(T* p, emu::Same<T> v) {
  return __atomic_fetch_and(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicXor(T* p, emu::Same<T> v) {
  return __atomic_fetch_xor(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicExch(T* p, emu::Same<T> v) {
  return emu_update(p, [v](T) { return v; });
}
template <class T>
T atomicMax(T* p, emu::Same<T> v) {
  static_assert(std::is_integral_v<T>, "CUDA has no atomicMax of this type");
  return emu_update(p, [v](T old) { return old < v ? v : old; });
}
template <class T>
T atomicMin(T* p, emu::Same<T> v) {
  static_assert(std::is_integral_v<T>, "CUDA has no atomicMin of this type");
  return emu_update(p, [v](T old) { return v < old ? v : old; });
}

template <class T>
T __ldg(const T* p) {
  return *p;
}
// Loads that see what other threads store meanwhile.
template <class T>
T __ldcg(const T* p) {
  T v;
  __atomic_load(p, &v, __ATOMIC_RELAXED);
  return v;
}
template <class T>
T __ldcv(const T* p) {
  return __ldcg(p);
}
template <class A, class B>
auto min(A a, B b) {
  using C = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<C>) {
    return C(fmin(C(a), C(b)));  // of a number and NaN, the number
  } else {
    return C(a) < C(b) ? C(a) : C(b);
  }
}
template <class A, class B>
auto max(A a, B b) {
  using C = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<C>) {
    return C(fmax(C(a), C(b)));
  } else {
    return C(a) < C(b) ? C(b) : C(a);
  }
}

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __int_as_float(int i) { return emu::value<float>((uint32_t)i); }
static inline int __float_as_int(float f) { return (int)emu::bits(f); }
static inline float __uint_as_float(unsigned u) { return emu::value<float>(u); }
static inline unsigned __float_as_uint(float f) { return (unsigned)emu::bits(f); }
static inline double __longlong_as_double(long long i) { return emu::value<double>((uint64_t)i); }
static inline long long __double_as_longlong(double f) { return (long long)emu::bits(f); }
static inline int __float2int_rn(float f) { return (int)nearbyintf(f); }
static inline int __double2int_rn(double f) { return (int)nearbyint(f); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t both = (uint64_t)y << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; i++) result |= (unsigned)(both >> 8 * (selector >> 4 * i & 7) & 0xFF) << 8 * i;
  return result;
}
