// Slopes of ramps: weighted least squares over each segment, sum_k coeffs[n, p, k] (f[n-1-k] - f[k]), segments weighted by
// 1 / variance by read noise. One thread a pixel. data[nint, ngroup, ny, nx] float32, groupdq of the same shape uint8.
#include "ramp.cuh"
#include "stats.cuh"

// NSORT: room to sort a ramp's differences; 0 asks for each rank anew.
#ifndef NSORT
#define NSORT 0
#endif

constexpr double LARGE_VARIANCE = 1e6;  // from here on nothing was measured; it is written as 0

struct Sums {  // of 1 / variance by read noise, by photons, by both; of slope / variance by read noise;
  double read, photon, both, slope, kept;  // the first as if no group had been flagged for charge loss
};

struct Pixel {
  double gain, noise, signal;
  const double* coeffs;
  int64 npair;
  Times times;

  // 1 / variance of the slope of n groups by read noise; a group alone is as two.
  __device__ double read(int n, const double time) const {
    const double r = noise / time;
    if (n < 2) n = 2;
    return 1 / (12 * r * r / (((double)n * n * n - n) * gain * gain));
  }

  __device__ void add(Sums* sums, const Ramp& ramp, const int start, const int n) const {
    const double time = n == 1 ? ramp.time : times.group;
    const double first = ramp.f(start), last = ramp.f(start + n - 1);
    double slope = n == 1 ? first : last - first;
    if (n > 2) slope = fit(ramp, start, n, first, last);
    const double weight = read(n, time), variance = signal / (time * gain * (n > 2 ? n - 1 : 1));
    sums->read += weight;
    sums->photon += variance > 0 ? 1 / variance : 0;
    sums->both += 1 / (1 / weight + variance);
    sums->slope += slope / time * weight;
  }

  // DN a group; NaN counts as 0.
  __device__ double fit(const Ramp& ramp, const int start, const int n, const double first, const double last) const {
    const double rise = (last - first) * gain, variance = noise * noise + rise;
    double snr = rise / sqrt(variance);
    if (variance <= 0 || snr < 0) snr = 0;
    const int power = 5 - ((snr < 5) + (snr < 10) + (snr < 20) + (snr < 50) + (snr < 100));  // NaN: the last
    const double* c = coeffs + ((int64)n * 6 + power) * npair;
    double slope = 0;
    for (int k = 0; k < n / 2; ++k) {
      const double low = ramp.f(start + k), high = ramp.f(start + n - 1 - k);
      slope += c[k] * ((isnan(high) ? 0 : high) - (isnan(low) ? 0 : low));
    }
    return slope;
  }

  __device__ double restored(const Ramp& ramp) const {
    double sum = 0;
    const auto q = [&](const int k) {
      const uint32 flags = ramp.origin(k);
      return flags & CHARGELOSS ? flags ^ (CHARGELOSS | DO_NOT_USE) : flags;
    };
    for_segments(q, ramp.n, [&](const int, const int n) { sum += read(n, n == 1 ? ramp.time : times.group); });
    return gain > 0 && sum < infinity() ? sum : 0;
  }
};

// The median of first differences in use, DN, or what stands for it.
__device__ double median_step(const Ramp& ramp, const Times times) {
  const double first = ramp.f0;
  if (ramp.n == 1) return ramp.q0 & SATURATED ? nan("") : first / times.alone * times.group;
  const int count = ramp.all ? 0 : count_numbers(ramp, ramp.n - 1);
  double step = (ramp.q0 | ramp.all) & INVALID ? 0 : first;
  if (ramp.lone) {
    step = first / ramp.time * times.group;
  } else if (count > 0) {
#if NSORT
    step = middle(Sorted<NSORT>(ramp, ramp.n - 1), 0, count);
#else
    step = median(ramp, ramp.n - 1);
#endif
  }
  return isnan(step) ? 0 : step;
}

__device__ double variance_of(const double sum) { return 1 / sum >= LARGE_VARIANCE ? 0 : 1 / sum; }

// planes[4, nint + 1, nrow, nx]: slope, error, variances by photons and by read noise; the exposure comes last.
__device__ void write(float* planes, uint32* dq, const int64 at, const int64 size, const Sums sums, const uint32 base,
                      const uint32 flags, const bool exposure) {
  const bool invalid = base & INVALID || flags & DO_NOT_USE;
  const double read = variance_of(sums.read), photon = variance_of(sums.photon), both = 1 / sums.both;
  const double error = sqrt(exposure ? read + photon : both > LARGE_VARIANCE ? 0 : both);
  double kept = variance_of(sums.kept);
  if (exposure && sums.kept == 0 && !invalid) kept = read;
  planes[at] = invalid ? nanf("") : (float)(sums.slope * read);
  planes[size + at] = invalid ? 0 : (float)error;
  planes[2 * size + at] = invalid ? 0 : (float)photon;
  planes[3 * size + at] = invalid && !(flags & CHARGELOSS) ? 0 : (float)kept;
  dq[at] = base | (flags & ~CHARGELOSS);
}

GJ_KERNEL fit(const float* data, const uint8* groupdq, const float* zeroframe, const uint32* pixeldq, const float* gain,
              const float* read_noise, const float* dark_rate, const double* coeffs, const int64 nint,
              const int64 ngroup, const int64 ny, const int64 nx, const int64 first_row, const int64 nrow,
              const int64 first, const int64 n, const int64 npair, const int64 suppress, const int64 has_zeroframe,
              const int64 has_dark, const double group_time, const double alone_time, const double zero_time,
              float* planes, uint32* dq) {
  const int64 out = GJ_INDEX, frame = ny * nx;
  if (out >= nrow * nx) return;
  const int64 at = out + first_row * nx;
  const Times times = {group_time, alone_time, zero_time};
  const auto ramp = [&](const int64 i) {
    const float* zero = has_zeroframe ? zeroframe + i * frame + at : nullptr;
    const int64 start = i * ngroup * frame + at;
    return ramp_of(data + start, groupdq + start, zero, frame, (int)first, (int)n, (int)ngroup, suppress != 0, times);
  };
  double signal = 0;
  for (int64 i = 0; i < nint; ++i) signal += median_step(ramp(i), times);
  signal = (signal > 0 ? signal / (nint * group_time) : 0) + (has_dark ? dark_rate[at] : 0);
  const Pixel pixel = {gain[at], read_noise[at], signal, coeffs, npair, times};
  const uint32 base = pixeldq[at] | (gain[at] > 0 ? 0 : DO_NOT_USE | NO_GAIN_VALUE);
  Sums total = {0, 0, 0, 0, 0};
  uint32 seen = 0, all = DO_NOT_USE;
  for (int64 i = 0; i < nint; ++i) {
    const Ramp r = ramp(i);
    Sums sums = {0, 0, 0, 0, 0};
    const auto add = [&](const int start, const int length) { pixel.add(&sums, r, start, length); };
    if (!(r.flags & DO_NOT_USE)) for_segments([&](const int k) { return r.q(k); }, r.n, add);
    sums.kept = r.flags & CHARGELOSS ? pixel.restored(r) : base & INVALID ? 0 : sums.read;
    write(planes, dq, i * nrow * nx + out, (nint + 1) * nrow * nx, sums, base, r.flags, false);
    total = {total.read + sums.read, total.photon + sums.photon, 0, total.slope + sums.slope, total.kept + sums.kept};
    seen |= r.flags;
    all &= r.flags;
  }
  write(planes, dq, nint * nrow * nx + out, (nint + 1) * nrow * nx, total, base, (seen & ~DO_NOT_USE) | all, true);
}

// used[ngroup] <- 1 where any ramp may use the group. One thread a ramp; all that write write the same.
GJ_KERNEL find_used(const uint8* groupdq, const int64 nramp, const int64 ngroup, const int64 frame,
                    const int64 suppress, uint8* used) {
  const int64 at = GJ_INDEX;
  if (at >= nramp) return;
  const uint8* q = groupdq + at / frame * ngroup * frame + at % frame;
  int good = 0;
  for (int64 g = 0; g < ngroup; ++g) good += (q[g * frame] & ~PERSISTENCE) == 0;
  if (suppress && good == 1) return;
  for (int64 g = 0; g < ngroup; ++g)
    if (!(q[g * frame] & DO_NOT_USE) && !used[g]) used[g] = 1;
}
