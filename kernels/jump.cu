// Two-point differences d of a pixel, median m: sigma^2 = |m| + readnoise^2 / nframes (electrons). One thread a pixel.
// data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8, gain[ny, nx] and readnoise[ny, nx] float32.
#include "difference.cuh"
#include "stats.cuh"

// NSORT: room to sort a pixel's differences; 0 asks for each rank anew.
#ifndef NSORT
#define NSORT 0
#endif

struct Limits {
  double threshold, of_three, of_two;
  bool single_pass;
};

// How far a difference is off the median; an iterative search has it in single precision, as the peer.
__device__ double excess(const float value, const double median, const bool single_pass) {
  const double off = fabs((double)value - median);
  return single_pass ? off : (double)(float)off;
}

// Of four sizes or more the median without the largest and its equals, of three theirs, of two the lesser.
template <class ByRank>
__device__ double median_of_sizes(const ByRank& at, const int first, const int last) {
  const int left = last - first;
  if (left < 4) return left > 1 ? (double)at(first + left / 3) : nan("");
  int end = last;
  while (end > first && at(end - 1) == at(last - 1)) --end;
  return middle(at, first, end);
}

// Narrows first and last (not included), ranks of the n differences, to those that are no outliers.
template <class ByRank>
__device__ void usual(const ByRank& at, const int n, const double variance, const Limits limits, int* first,
                      int* last) {
  while (*last > *first) {
    const int left = *last - *first;
    const bool all = limits.single_pass || left > 3;
    const double threshold = all ? limits.threshold : left == 3 ? limits.of_three : limits.of_two;
    double median = limits.single_pass ? middle(at, 0, n) : median_of_sizes(at, *first, *last);
    // The peer keeps the medians of all rounds but the first in single precision.
    if (!limits.single_pass && left < n) median = (float)median;
    const double sigma = sqrt(fabs(median) + variance);
    const double above = excess(at(*last - 1), median, limits.single_pass);
    const double below = excess(at(*first), median, limits.single_pass);
    const double worst = below > above ? below : above;
    if (!(sigma > 0 && worst / sigma > threshold)) break;
    while (*last > *first && excess(at(*last - 1), median, limits.single_pass) == worst) --*last;
    while (*last > *first && excess(at(*first), median, limits.single_pass) == worst) ++*first;
  }
}

template <class ByRank>
__device__ int flag_unusual(const Pixel& pixel, const ByRank& at, const int n, const double variance,
                            const Limits limits) {
  int first = 0, last = n, count = 0;
  usual(at, n, variance, limits, &first, &last);
  if (first == 0 && last == n) return 0;
  const float least = first < last ? at(first) : infinity();
  const float greatest = first < last ? at(last - 1) : -infinity();
  for (int i = 0; i < pixel.nint; ++i) {
    for (int g = 1; g < pixel.ngroup; ++g) {
      const float value = pixel.difference_to(i, g);
      if (limits.single_pass && isinf(value)) continue;
      const float held = limits.single_pass ? value : fabsf(value);
      if (!(held < least || held > greatest) || pixel.flags(i, g) & JUMP) continue;
      pixel.flags(i, g) |= JUMP;
      ++count;
    }
  }
  return count;
}

GJ_KERNEL find_outliers(const float* data, uint8* groupdq, const float* gain, const float* readnoise, const int64 nint,
                        const int64 ngroup, const int64 ny, const int64 nx, const double nframes,
                        const double threshold, const double of_three, const double of_two, const int64 single_pass,
                        int64* count) {
  const int64 at = GJ_INDEX;
  if (at >= ny * nx) return;
  const Pixel pixel(data, groupdq, gain, at, nint, ngroup, ny * nx);
  const Limits limits = {threshold, of_three, of_two, single_pass != 0};
  const double variance = (double)(readnoise[at] * readnoise[at]) / nframes;
  const auto value = [&](const int j) { return limits.single_pass ? pixel(j) : fabsf(pixel(j)); };
  int jumps = pixel.count_jumps();
  const int n = count_numbers(value, pixel.differences());
#if NSORT
  jumps += flag_unusual(pixel, Sorted<NSORT>(value, pixel.differences()), n, variance, limits);
#else
  jumps += flag_unusual(pixel, Streamed<decltype(value)>{value, pixel.differences()}, n, variance, limits);
#endif
  if (jumps) atomicAdd((uint64*)count + at / nx, (uint64)jumps);
}

// marks[nint, ngroup, ny, nx] <- 1 where a jump has low < |d - m| / sigma < high.
GJ_KERNEL mark_jumps(const float* data, uint8* groupdq, const float* gain, const float* readnoise, const int64 nint,
                     const int64 ngroup, const int64 ny, const int64 nx, const double nframes, const double low,
                     const double high, uint8* marks) {
  const int64 at = GJ_INDEX;
  if (at >= ny * nx) return;
  const Pixel pixel(data, groupdq, gain, at, nint, ngroup, ny * nx);
  double center = 0, sigma = 0;  // none yet: most pixels need none
  for (int i = 0; i < pixel.nint; ++i) {
    for (int g = 1; g < pixel.ngroup; ++g) {
      if (!(pixel.flags(i, g) & JUMP)) continue;
      if (sigma == 0) {
        center = median(pixel, pixel.differences());
        sigma = sqrt(fabs(center) + (double)(readnoise[at] * readnoise[at]) / nframes);
        if (!(sigma > 0)) return;
      }
      const double ratio = fabs(pixel.difference_to(i, g) - center) / sigma;
      if (low < ratio && ratio < high) marks[((int64)i * ngroup + g) * ny * nx + at] = 1;
    }
  }
}

// One thread an element of groupdq.
GJ_KERNEL spread_marks(const uint8* marks, uint8* groupdq, const int64 n, const int64 ngroup, const int64 ny,
                       const int64 nx) {
  const int64 at = GJ_INDEX;
  if (at >= n || at / (ny * nx) % ngroup == 0 || groupdq[at] & BAD) return;
  const int64 x = at % nx, y = at / nx % ny;
  const bool beside = (x > 0 && marks[at - 1]) || (x + 1 < nx && marks[at + 1]);
  if (beside || (y > 0 && marks[at - nx]) || (y + 1 < ny && marks[at + nx])) groupdq[at] |= JUMP;
}

GJ_KERNEL flag_after(const float* data, uint8* groupdq, const float* gain, const int64 nint, const int64 ngroup,
                     const int64 ny, const int64 nx, const double electrons_1, const double electrons_2,
                     const int64 ngroup_1, const int64 ngroup_2) {
  const int64 at = GJ_INDEX;
  if (at >= ny * nx) return;
  const Pixel pixel(data, groupdq, gain, at, nint, ngroup, ny * nx);
  double center = 0;
  bool known = false;
  for (int i = 0; i < pixel.nint; ++i) {
    int64 reach = 0;
    for (int g = 1; g < pixel.ngroup; ++g) {
      const uint8 flags = pixel.flags(i, g);
      if (flags & JUMP) {
        if (!known) center = median(pixel, pixel.differences());
        known = true;
        const double size = pixel.difference_to(i, g) - center;
        if (size >= electrons_1) reach = max(reach, g + ngroup_1);
        if (size >= electrons_2) reach = max(reach, g + ngroup_2);
      } else if (g <= reach && !(flags & BAD)) {
        pixel.flags(i, g) = flags | JUMP;
      }
    }
  }
}
