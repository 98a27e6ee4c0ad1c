// Sets of two-point differences, clipped about their median by their standard deviation. One thread a pixel.
// data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8, gain[ny, nx] float32.
#include "difference.cuh"
#include "stats.cuh"

constexpr int ROUNDS = 5;  // how often a set is clipped at most

// The finite differences to groups `first` to `first + per_set` (not included) of all integrations, within bounds.
struct Set {
  const Pixel& pixel;
  const int first, per_set;
  double lower, upper;

  __device__ float operator()(const int j) const {
    const float value = pixel.difference_to(j / per_set, first + j % per_set);
    return !isinf(value) && value >= lower && value <= upper ? value : nanf("");
  }
};

__device__ double deviation(const Set& set, const int n, const int count) {
  double mean = 0, square = 0;
  for (int j = 0; j < n; ++j) {
    const float value = set(j);
    if (!isnan(value)) mean += value;
  }
  mean /= count;
  for (int j = 0; j < n; ++j) {
    const double off = set(j) - mean;
    if (!isnan(off)) square += off * off;
  }
  return sqrt(square / count);
}

// Leaves in lower and upper what the set is held against in the last round.
__device__ void clip(Set set, const int n, const double threshold, double* lower, double* upper) {
  int count = count_numbers(set, n);
  for (int round = 0; round < ROUNDS && count > 0; ++round) {
    const double center = median(set, n), reach = threshold * deviation(set, n, count);
    *lower = center - reach;
    *upper = center + reach;
    set.lower = fmax(set.lower, *lower);
    set.upper = fmin(set.upper, *upper);
    const int left = count_numbers(set, n);
    if (left == count) break;
    count = left;
  }
}

GJ_KERNEL flag_clipped(const float* data, uint8* groupdq, const float* gain, const int64 nint, const int64 ngroup,
                       const int64 ny, const int64 nx, const double threshold, const int64 per_set,
                       int64* count) {
  const int64 at = GJ_INDEX;
  if (at >= ny * nx) return;
  const Pixel pixel(data, groupdq, gain, at, nint, ngroup, ny * nx);
  int jumps = pixel.count_jumps();
  for (int first = 1; first < ngroup; first += (int)per_set) {
    double lower = -infinity(), upper = infinity();
    clip(Set{pixel, first, (int)per_set, lower, upper}, (int)(nint * per_set), threshold, &lower, &upper);
    for (int i = 0; i < pixel.nint; ++i) {
      for (int g = first; g < first + (int)per_set; ++g) {
        const float value = pixel.difference_to(i, g);
        if (isinf(value) || !(value < lower || value > upper) || pixel.flags(i, g) & JUMP) continue;
        pixel.flags(i, g) |= JUMP;
        ++jumps;
      }
    }
  }
  if (jumps) atomicAdd((uint64*)count + at / nx, (uint64)jumps);
}
