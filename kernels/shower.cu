// Faint extended emission of cosmic-ray showers: the noise of differences of successive groups, their ratio to it, its
// mean over a ring, and what may be flagged. data, groupdq, marks [nint, ngroup, ny, nx], plane = ny * nx.
#include "dq.cuh"
#include "gpujw.cuh"
#include "stats.cuh"

constexpr uint32 BAD = DO_NOT_USE | SATURATED | JUMP_DET;
constexpr uint8 USELESS = JUMP_DET | DO_NOT_USE;  // flags 1 to this are those of a useless group, and no others
constexpr int PASSES = 5;
constexpr double SIGMAS = 5;

struct Ramp {
  const float* data;
  const uint8* groupdq;
  int64 ngroup, plane, x;  // x: the place in a frame
  float gain;

  // Group g + 1 less group g, electrons; NaN where either is useless.
  __device__ float difference(const int64 i, const int64 g) const {
    const int64 k = (i * ngroup + g) * plane + x;
    const uint8 q = groupdq[k + plane], q0 = groupdq[k];
    const bool counts = (q == 0 || q > USELESS) && (q0 == 0 || q0 > USELESS);
    return counts ? data[k + plane] * gain - data[k] * gain : nanf("");
  }
};

GJ_KERNEL noise(const float* data, const uint8* groupdq, const float* gain, const float* readnoise, float* median_out,
                float* sigma, const int64 nint, const int64 ngroup, const int64 plane, const float nframes) {
  const int64 x = GJ_INDEX;
  if (x >= plane) return;
  const Ramp ramp = {data, groupdq, ngroup, plane, x, gain[x]};
  const auto value = [&](const int64 j) { return ramp.difference(j / (ngroup - 1), j % (ngroup - 1)); };
  const float m = (float)median(value, (int)(nint * (ngroup - 1)));
  median_out[x] = m;
  sigma[x] = sqrtf(fabsf(m) + readnoise[x] * readnoise[x] / nframes);
}

// The differences d of one pixel over the integrations, without those out of bounds.
struct Clipped {
  Ramp ramp;
  int64 d;
  double low, high;
  __device__ float operator()(const int64 i) const {
    const float value = ramp.difference(i, d);
    return isfinite(value) && value >= low && value <= high ? value : nanf("");
  }
};

__device__ double deviation(const Clipped& value, const int n) {
  double total = 0, squares = 0;
  int count = 0;
  for (int i = 0; i < n; ++i)
    if (!isnan(value(i))) total += value(i), ++count;
  for (int i = 0; i < n; ++i)
    if (!isnan(value(i))) squares += (value(i) - total / count) * (value(i) - total / count);
  return sqrt(squares / count);
}

// n: differences of one integration, times plane.
GJ_KERNEL clipped_noise(const float* data, const uint8* groupdq, const float* gain, float* median_out, float* sigma,
                        const int64 n, const int nint, const int64 ngroup, const int64 plane) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 x = index % plane;
  Clipped value = {{data, groupdq, ngroup, plane, x, gain[x]}, index / plane, -infinity(), infinity()};
  double low = -infinity(), high = infinity();
  for (int pass = 0; pass < PASSES; ++pass) {
    const double center = median(value, nint), scatter = deviation(value, nint);
    low = center - SIGMAS * scatter, high = center + SIGMAS * scatter;
    value.low = fmax(value.low, low), value.high = fmin(value.high, high);
  }
  // The last bounds apply to all: what an earlier pass left out may be inside them.
  value.low = low, value.high = high;
  median_out[index] = (float)median(value, nint);
  sigma[index] = (float)deviation(value, nint);
}

// ratio[ngroup - 1, ny, nx] of integration i, NaN where a pixel does not count; noise_step: 0 where all differences
// share one median and sigma, else plane.
GJ_KERNEL weigh(const float* data, const uint8* groupdq, const uint32* pixeldq, const float* gain, const float* median,
                const float* sigma, float* ratio, const int64 n, const int64 ngroup, const int64 plane, const int64 i,
                const int64 noise_step) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 d = index / plane, x = index % plane, m = d * noise_step + x;
  const Ramp ramp = {data, groupdq, ngroup, plane, x, gain[x]};
  const float value = fabsf(ramp.difference(i, d) - median[m]) / sigma[m];
  const uint32 flags = groupdq[(i * ngroup + d + 1) * plane + x] | pixeldq[x];
  ratio[index] = !(flags & BAD) && pixeldq[x] != REFERENCE_PIXEL && isfinite(value) ? value : nanf("");
}

// found[n]: where the mean ratio over the ring exceeds the threshold; row by row of the ring, each from its middle.
GJ_KERNEL smooth(const float* ratio, uint8* found, const int64 n, const int64 ny, const int64 nx, const double inner,
                 const double outer, const float threshold) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 x = index % nx, y = index / nx % ny, radius = (int64)outer;
  const float* frame = ratio + (index - y * nx - x);
  float total = 0, count = 0;
  for (int64 dy = -radius; dy <= radius; ++dy) {
    float row = 0, row_count = 0;
    for (int64 dx = 0; dx <= radius; ++dx) {
      const double r = (double)(dx * dx + dy * dy);
      if (r < inner * inner || r > outer * outer) continue;
      float pair = 0, pair_count = 0;
      for (int64 side = dx ? -1 : 1; side <= 1; side += 2) {
        const int64 row_y = y + dy, column = x + side * dx;
        const bool beyond = row_y < 0 || row_y >= ny || column < 0 || column >= nx;
        const float value = beyond ? 0.0f : frame[row_y * nx + column];
        if (!isnan(value)) pair += value, pair_count += 1;
      }
      row += pair, row_count += pair_count;
    }
    total += row, count += row_count;
  }
  found[index] = !isnan(ratio[index]) && total / count > threshold;
}

// The mean difference of successive groups of a pixel in integration i without those flagged; NaN of none.
__device__ float mean_difference(const Ramp& ramp, const uint8* marks, const int64 i) {
  float total = 0, count = 0, last = nanf("");
  for (int64 g = 0; g < ramp.ngroup; ++g) {
    const int64 k = (i * ramp.ngroup + g) * ramp.plane + ramp.x;
    const float e = (ramp.groupdq[k] | marks[k]) & BAD ? nanf("") : ramp.data[k] * ramp.gain;
    if (!isnan(e - last)) total += e - last, count += 1;
    last = e;
  }
  return total / count;
}

GJ_KERNEL accept(uint8* groupdq, const uint8* marks, const float* data, const uint32* pixeldq, const float* gain,
                 const int64 n, const int64 ngroup, const int64 plane, const float limit) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const int64 i = index / plane, x = index % plane, k = i * ngroup * plane + x;
  uint8 some = 0;
  for (int64 g = 0; g < ngroup; ++g) some |= marks[k + g * plane];
  if (!some || pixeldq[x] == REFERENCE_PIXEL) return;
  const Ramp ramp = {data, groupdq, ngroup, plane, x, gain[x]};
  const float change = fabsf(mean_difference(ramp, groupdq, i) - mean_difference(ramp, marks, i));
  if (!(change <= limit)) return;
  for (int64 g = 0; g < ngroup; ++g) groupdq[k + g * plane] |= marks[k + g * plane];
}
