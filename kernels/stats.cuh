// Exact order statistics of float32 sets, one set a thread: a set is anything that value(j), j = 0 ... n - 1, reads;
// its NaN do not count. Nothing is stored for the streaming forms, so n has no bound.
#pragma once
#include "gpujw.cuh"

// Bits of a float as an unsigned integer that sorts as the numbers do, and back.
__device__ inline uint32 ordered_bits(const float value) {
  const uint32 bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float ordered_value(const uint32 bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

template <class Value>
__device__ int64 count_numbers(const Value& value, const int64 n) {
  int64 count = 0;
  for (int64 j = 0; j < n; ++j) count += !isnan(value(j));
  return count;
}

// The number that `rank` others precede, found bit by bit; `rank` must be less than count_numbers.
template <class Value>
__device__ float kth_smallest(const Value& value, const int64 n, const int64 rank) {
  uint32 found = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint32 trial = found | 1u << bit;
    int64 below = 0;
    for (int64 j = 0; j < n; ++j) {
      const float v = value(j);
      below += !isnan(v) && ordered_bits(v) < trial;
    }
    if (below <= rank) found = trial;
  }
  return ordered_value(found);
}

// The median in float64 of `count` numbers, from `at(rank)`, the sorted set, `first` of which are left out below.
template <class Sorted>
__device__ double middle(const Sorted& at, const int64 first, const int64 last) {
  if (last <= first) return nan("");
  const int64 half = first + (last - first) / 2;
  if ((last - first) % 2) return at(half);
  return 0.5 * ((double)at(half - 1) + (double)at(half));
}

// A set that is sorted anew for each rank asked: slow, and any size.
template <class Value>
struct Streamed {
  const Value& value;
  const int64 n;
  __device__ float operator()(const int64 rank) const { return kth_smallest(value, n, rank); }
};

template <class Value>
__device__ double median(const Value& value, const int64 n) {
  return middle(Streamed<Value>{value, n}, 0, count_numbers(value, n));
}

// Sorts N numbers in registers, upwards: Batcher's odd-even merge sort, whose comparisons depend on no data.
template <int N>
__device__ void sort_registers(float (&values)[N]) {
#pragma unroll
  for (int span = 1; span < N; span *= 2) {
#pragma unroll
    for (int step = span; step >= 1; step /= 2) {
#pragma unroll
      for (int i = 0; i < N - step; ++i) {
        const bool starts = (i - step % span) % (2 * step) < step && i >= step % span;
        if (!starts || (i ^ (i + step)) & -(2 * span)) continue;
        const float a = values[i], b = values[i + step];
        values[i] = b < a ? b : a;
        values[i + step] = b < a ? a : b;
      }
    }
  }
}
