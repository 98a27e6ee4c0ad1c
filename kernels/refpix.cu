// Clipped means and running medians of reference pixels, and the subtraction of both; float64, orders fixed.
#include "gpujw.cuh"

constexpr int THREADS = 256;
constexpr double FINITE = 3.4028234663852886e38;  // the largest float32

// The sum over a block, the same for every thread of it; a tree of fixed shape.
__device__ double block_sum(double value, double* shared) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = THREADS / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  const double total = shared[0];
  __syncthreads();
  return total;
}

// means[frame, segment] of values[frame, order[starts[segment] : starts[segment + 1]]] inside bounds that only close
// in: what one pass clips never comes back. One block a mean.
GJ_KERNEL clipped_means(const float* values, const int64* order, const int64* starts, double* means,
                        const int64 nsegment, const int64 nsample, const double siglimit) {
  GJ_SHARED(double, shared, THREADS);
  const int64 frame = blockIdx.x / nsegment, segment = blockIdx.x % nsegment;
  const float* sample = values + frame * nsample;
  const int64 start = starts[segment], stop = starts[segment + 1];
  double low = -FINITE, high = FINITE, before = -1, mean;
  while (true) {
    double count = 0, total = 0;
    for (int64 k = start + threadIdx.x; k < stop; k += THREADS) {
      const double value = sample[order[k]];
      if (low <= value && value <= high) count += 1, total += value;
    }
    const double n = block_sum(count, shared);
    mean = block_sum(total, shared) / n;
    if (n == before || n == 0) break;
    double squares = 0;
    for (int64 k = start + threadIdx.x; k < stop; k += THREADS) {
      const double value = sample[order[k]];
      if (low <= value && value <= high) squares += (value - mean) * (value - mean);
    }
    const double std = sqrt(block_sum(squares, shared) / n);
    low = fmax(low, mean - siglimit * std);
    high = fmin(high, mean + siglimit * std);
    before = n;
  }
  if (threadIdx.x == 0) means[blockIdx.x] = mean;
}

// The rows about one row of a frame; places beyond the detector's ends are mirrored.
struct Window {
  const double* values;  // [nrow, nvalue] of one frame
  const uint8* good;
  int64 nrow, nvalue, first, length, low, high;

  __device__ int64 row(const int64 y) const {
    const int64 above = y < 0 ? -y : y, mirror = 2 * (length - 1) - above;
    return (above < mirror ? above : mirror) - first;
  }
  __device__ bool counts(const int64 row, const int64 k) const {
    return row >= 0 && row < nrow && good[row * nvalue + k] && isfinite(values[row * nvalue + k]);
  }
  // How many good values there are below bound (at most bound with ``inclusive``).
  __device__ int64 count(const double bound, const bool inclusive) const {
    int64 n = 0;
    for (int64 y = low; y <= high; ++y)
      for (int64 r = row(y), k = 0; k < nvalue; ++k)
        if (counts(r, k)) n += values[r * nvalue + k] < bound || (inclusive && values[r * nvalue + k] == bound);
    return n;
  }
  // The least good value above bound.
  __device__ double next(const double bound) const {
    double least = __longlong_as_double(0x7ff0000000000000ll);
    for (int64 y = low; y <= high; ++y)
      for (int64 r = row(y), k = 0; k < nvalue; ++k)
        if (counts(r, k) && values[r * nvalue + k] > bound) least = fmin(least, values[r * nvalue + k]);
    return least;
  }
};

// A double from an integer that orders as it does.
__device__ double ordered(const uint64 code) {
  return __longlong_as_double((long long)(code >> 63 ? code ^ (1ull << 63) : ~code));
}

// medians[frame, y]: the lower middle value is found bit by bit, as the largest that at most so many others are below.
GJ_KERNEL running_medians(const double* values, const uint8* good, double* medians, const int64 nframe,
                          const int64 nrow, const int64 nvalue, const int64 half, const int64 first,
                          const int64 length) {
  const int64 i = GJ_INDEX;
  if (i >= nframe * nrow) return;
  const int64 y = first + i % nrow;
  const Window window = {values + i / nrow * nrow * nvalue, good, nrow, nvalue, first, length, y - half, y + half};
  const int64 n = window.count(__longlong_as_double(0x7ff0000000000000ll), false);
  uint64 code = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const uint64 trial = code | 1ull << bit;
    if (window.count(ordered(trial), false) <= (n - 1) / 2) code = trial;
  }
  const double lower = ordered(code);
  const double upper = window.count(lower, true) > n / 2 ? lower : window.next(lower);
  medians[i] = n ? 0.5 * (lower + upper) : nan("");
}

// data[nint, ngroup, ny, nx] -= columns[nint, ngroup, nparity, nx] + rows[nint, ngroup, nrow], one thread an element.
GJ_KERNEL subtract(float* data, const double* columns, const double* rows, const int64 n, const int64 ny,
                   const int64 nx, const int64 nparity, const int64 nrow, const int64 row_start,
                   const int64 keep_zeros) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  if (keep_zeros && data[i] == 0) return;
  const int64 x = i % nx, y = row_start + i / nx % ny, frame = i / (nx * ny);
  data[i] = (float)(data[i] - columns[(frame * nparity + y % nparity) * nx + x] - rows[frame * nrow + y]);
}
