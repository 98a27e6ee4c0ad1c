// Rates of ramps by maximum likelihood (Brandt 2024, PASP 136, 045004 and 045005): differences of groups, whose
// covariances are three diagonals. Threads take ramp after ramp; data[nint, ngroup, ny, nx] float32, groupdq uint8.
#include "likely.cuh"

// NSORT: room to sort a ramp's differences; 0 asks for each rank anew.
#ifndef NSORT
#define NSORT 0
#endif

__device__ double positive(const double rate) { return rate <= 0 ? 0 : rate; }  // NaN stays

// The median of all differences, 0 at least; NaN where one is.
__device__ double guess(const Differences& ramp) {
  const int n = ramp.ndiff;
  if (count_numbers(ramp, n) < n) return nan("");
#if NSORT
  const double value = middle(Sorted<NSORT>(ramp, n), 0, n);
#else
  const double value = median(ramp, n);
#endif
  return positive(value);
}

// The rate of the differences that count once those with jumps are left out.
__device__ double search(const Differences& ramp, const Noise& noise, const Kept& kept, uint8* groupdq) {
  int number = 0;
  for (int k = 0; k < ramp.ndiff; ++k) number += kept.used[k * kept.stride] = ramp.clear(k);
  Fit fit = kept.forward(ramp, noise);
  // No omission takes more from chi-square than all of it; of three or fewer, no one can say which is wrong.
  bool more = number > 1 && fit.chisq > 0.99 * ONE;
  while (more) {
    const int left_out = leave_out(ramp, noise, kept, number, &fit, groupdq);
    number -= left_out;
    more = left_out && number > 3;
    if (more) fit = kept.forward(ramp, noise);
    more = more && fit.chisq > 0.99 * ONE;
  }
  return fit.rate;
}

// Slope, error, variances by photons and by read noise, chi-square to planes[5, nint + 1, nrow, nx]. With weights h the
// variance by photons is h^T P h, P the derivative of the covariances by the rate: it is the derivative of the sum of
// weights, which follows the recursion.
__device__ void write_final(const Differences& ramp, const Noise& noise, const Kept& kept, float* out, const int64 size) {
  double i = 0, u = 0, v = 0, dp = 0, du = 0, total = 0, slope = 0, chisq = 0, change = 0;
  const double* p = ramp.pattern + ramp.ndiff;
  for (int k = 0; k < ramp.ndiff; ++k) {
    const double m = kept.use(k);
    const bool both = k && kept.both(k - 1);
    const double beside = both ? noise.beside(k - 1) : 0, dbeside = both ? p[2 * ramp.ndiff + k - 1] : 0;
    const double lower = beside * i, dlower = (dbeside - lower * dp) * i;
    dp = p[k] - 2 * dbeside * lower + lower * lower * dp;
    i = 1 / (noise.diagonal(k) - beside * lower);
    du = -dlower * u - lower * du;
    u = m - lower * u;
    v = m * ramp.d(k) - lower * v;
    const double weight = u * i;
    total += u * weight;
    slope += v * weight;
    chisq += v * v * i;
    change += weight * (2 * du - weight * dp);
  }
  const double per_total = 1 / total, variance = total > 0 ? per_total : nan("");
  const double photon = -noise.photons * change * per_total * per_total;
  out[0] = (float)(slope * per_total);
  out[size] = (float)sqrt(variance);
  out[2 * size] = (float)photon;
  out[3 * size] = (float)(noise.variance > 0 ? variance - photon : 0 * variance);
  out[4 * size] = (float)(chisq - slope * slope * per_total);
}

__device__ uint32 flags_of(const uint8* groupdq, const int64 frame, const int64 ngroup) {
  uint32 seen = 0, all = DO_NOT_USE;
  for (int64 g = 0; g < ngroup; ++g) {
    const uint32 flags = groupdq[g * frame];
    seen |= flags & (SATURATED | JUMP_DET);
    if (!(flags & (DO_NOT_USE | SATURATED))) all = 0;
  }
  return seen | all;
}

GJ_KERNEL fit(const float* data, uint8* groupdq, const float* zeroframe, const uint32* pixeldq, const float* gain,
              const float* read_noise, const float* dark_rate, const double* pattern, const int64 nint,
              const int64 ngroup, const int64 ny, const int64 nx, const int64 first_row, const int64 nrow,
              const int64 ndiff, const int64 nframes, const int64 has_zeroframe, const int64 has_dark,
              const int64 nthread, double* scratch, uint8* used, float* planes, uint32* dq) {
  const int64 thread = GJ_INDEX, frame = ny * nx, image = nrow * nx, plane = ndiff * nthread;
  if (thread >= nthread) return;
  const Kept kept = {scratch + thread, scratch + plane + thread, scratch + 2 * plane + thread, used + thread, nthread};
  for (int64 out = thread; out < nint * image; out += nthread) {
    const int64 at = out % image + first_row * nx, i = out / image, start = i * ngroup * frame + at;
    const float* zero = has_zeroframe ? zeroframe + i * frame + at : nullptr;
    const Differences ramp = {data + start, groupdq + start, zero, pattern, frame, (int)ndiff, (float)nframes};
    const double per_gain = gain[at] > 0 ? 1 / (double)gain[at] : nan("");
    Noise noise = {pattern, (int)ndiff, (double)read_noise[at] * read_noise[at], guess(ramp) * per_gain};
    const double rate = search(ramp, noise, kept, groupdq + start);
    noise.photons = positive(positive(rate) + (has_dark ? dark_rate[at] : 0)) * per_gain;
    write_final(ramp, noise, kept, planes + out, (nint + 1) * image);
    dq[out] = pixeldq[at] | flags_of(groupdq + start, frame, ngroup);
  }
}

// A plane of all integrations, at one pixel.
struct Integrations {
  const float* first;
  const int64 image;
  __device__ float operator()(const int64 i) const { return first[i * image]; }
};

// The exposure from its integrations, weighted by variances that all have the same rate; it comes after the last of them.
GJ_KERNEL combine(const int64 nint, const int64 image, float* planes, uint32* dq) {
  const int64 at = GJ_INDEX, size = (nint + 1) * image, last = nint * image;
  if (at >= image) return;
  float* out = planes + last + at;
  uint32 some = 0, all = DO_NOT_USE;
  float chisq = 0;
  for (int64 i = 0; i < nint; ++i) {
    some |= dq[i * image + at];
    all &= dq[i * image + at];
    chisq += planes[4 * size + i * image + at];
  }
  dq[last + at] = (some & ~DO_NOT_USE) | all;
  out[4 * size] = chisq;
  if (nint == 1) {
    for (int k = 0; k < 4; ++k) out[k * size] = planes[k * size + at];
    return;
  }
  const Integrations slopes = {planes + at, image}, photons = {planes + 2 * size + at, image},
                     reads = {planes + 3 * size + at, image};
  double rate = median(slopes, (int)nint), photon = 0, read = 0;
  for (int pass = 0; pass < 2; ++pass) {
    double weights = 0, sum = 0;
    photon = read = 0;
    for (int64 i = 0; i < nint; ++i) {
      const double scale = rate / slopes(i), scaled = photons(i) * (scale >= 0 && scale < infinity() ? scale : 0);
      const double weight = 1 / (scaled + reads(i));
      if (isnan(weight)) continue;
      weights += weight;
      sum += weight * slopes(i);
      photon += weight * weight * scaled;
      read += weight * weight * reads(i);
    }
    rate = sum / weights;
    photon /= weights * weights;
    read /= weights * weights;
  }
  out[0] = (float)rate;
  out[size] = (float)sqrt(photon + read);
  out[2 * size] = (float)photon;
  out[3 * size] = (float)read;
}
