// Exact order statistics of float32 sets, one set a thread: a set is anything that value(j), j = 0 ... n - 1, reads;
// its NaN do not count. The streaming forms store nothing, so that n has no bound.
#pragma once
#include "gpujw.cuh"

__device__ inline float infinity() { return __uint_as_float(0x7f800000u); }  // NVRTC knows no INFINITY

template <class Value>
__device__ int count_numbers(const Value& value, const int n) {
  int count = 0;
  for (int j = 0; j < n; ++j) count += !isnan(value(j));
  return count;
}

// Bits of a float as an unsigned integer that sorts as the numbers do, and back.
__device__ inline uint32 ordered_bits(const float value) {
  const uint32 bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float ordered_value(const uint32 bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// The number that comes after `rank` others, found bit by bit; `rank` must be less than count_numbers.
template <class Value>
__device__ __noinline__ float kth_smallest(const Value& value, const int n, const int rank) {
  uint32 found = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint32 trial = found | 1u << bit;
    int below = 0;
    for (int j = 0; j < n; ++j) {
      const float v = value(j);
      below += !isnan(v) && ordered_bits(v) < trial;
    }
    if (below <= rank) found = trial;
  }
  return ordered_value(found);
}

// The median in float64, NaN of no numbers.
template <class Value>
__device__ __noinline__ double median(const Value& value, const int n) {
  const int count = count_numbers(value, n);
  if (count == 0) return nan("");
  const float lower = kth_smallest(value, n, (count - 1) / 2);
  if (count % 2) return lower;
  int up_to = 0;
  float next = infinity();
  for (int j = 0; j < n; ++j) {
    const float v = value(j);
    up_to += v <= lower;
    if (v > lower && v < next) next = v;
  }
  return 0.5 * ((double)lower + (double)(up_to > count / 2 ? lower : next));
}

// The set by rank, sorted anew for each rank that is asked for: slow, and of any size.
template <class Value>
struct Streamed {
  const Value& value;
  const int n;
  __device__ float operator()(const int rank) const { return kth_smallest(value, n, rank); }
};

// A set of N at most, sorted once: NaN and what is missing of N come last, as infinities.
template <int N>
struct Sorted {
  static constexpr int UNROLL = N <= 16 ? N : 1;  // small sets are sorted in registers; more would take long to compile
  float values[N];

  template <class Value>
  __device__ Sorted(const Value& value, const int n) {
#pragma unroll UNROLL
    for (int j = 0; j < N; ++j) {
      const float v = j < n ? value(j) : infinity();
      values[j] = isnan(v) ? infinity() : v;
    }
    // Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4): what it compares depends on no data.
#pragma unroll UNROLL
    for (int span = 1; span < N; span *= 2) {
#pragma unroll UNROLL
      for (int step = span; step >= 1; step /= 2) {
#pragma unroll UNROLL
        for (int i = 0; i < N - step; ++i) {
          const int along = step == span ? i : i - step;
          // Comparisons that would cross from one merged pair into the next are left out.
          if (along < 0 || (along & (2 * step - 1)) >= step || ((i ^ (i + step)) & -(2 * span))) continue;
          const float a = values[i], b = values[i + step];
          values[i] = b < a ? b : a;
          values[i + step] = b < a ? a : b;
        }
      }
    }
  }

  __device__ float operator()(const int rank) const { return values[rank]; }
};

// The median in float64 of ranks `first` to `last` (not included) of a set by rank, NaN of none.
template <class ByRank>
__device__ double middle(const ByRank& at, const int first, const int last) {
  if (last <= first) return nan("");
  const int half = first + (last - first) / 2;
  if ((last - first) % 2) return at(half);
  return 0.5 * ((double)at(half - 1) + (double)at(half));
}
