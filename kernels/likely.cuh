// One ramp's differences, their noise, and the recursions that take its covariances apart. Covariances of differences are
// three diagonals; those that are out of use stand for themselves.
#pragma once
#include "dq.cuh"
#include "gpujw.cuh"
#include "stats.cuh"

constexpr double ONE = 20.25, TWO = 23.8;  // what leaving out one difference, or two in a row, must take from chi-square
constexpr double TIE = 1e-8;               // improvements that differ by less, of each other, are the same

struct Differences {
  const float* data;
  const uint8* groupdq;
  const float* zero;  // the zero frame, or none
  const double* pattern;
  const int64 frame;
  const int ndiff;
  const float nframes;

  // Group k as the fit counts them: the zero frame first.
  __device__ float f(const int k) const {
    if (!zero) return data[k * frame];
    if (k > 1) return data[(k - 1) * frame];
    return k ? (data[0] * nframes - *zero) / (nframes - 1) : *zero;
  }
  __device__ double d(const int k) const { return (double)(f(k + 1) - f(k)) * pattern[k]; }
  __device__ float operator()(const int k) const { return (float)d(k); }

  __device__ int64 group_after(const int k) const { return zero ? k : k + 1; }
  __device__ bool clear(const int k) const {
    const int64 g = group_after(k);
    return (groupdq[g * frame] | groupdq[(g ? g - 1 : 0) * frame]) == 0;
  }
};

struct Noise {
  const double* pattern;
  const int ndiff;
  const double variance;  // of a frame, by read noise
  double photons;         // DN/s per gain

  __device__ double diagonal(const int k) const {
    return photons * pattern[ndiff + k] + variance * pattern[2 * ndiff + k];
  }
  __device__ double beside(const int k) const {  // difference k and the next
    return photons * pattern[3 * ndiff + k] + variance * pattern[4 * ndiff + k];
  }
};

struct Fit {
  double rate, chisq, total;  // total: 1 / sum of weights
};

struct Omission {
  double improvement, rate;
  int at;

  // Take note of what is better, or as good and with a lower rate.
  __device__ void keep(const double other, const double without, const int k) {
    if (other > improvement * (1 + TIE) || (other >= improvement * (1 - TIE) && without < rate))
      *this = {other, without, k};
  }
};

// What a thread keeps of the ramp it works on: value(k) of each of its differences lies `stride` further.
struct Kept {
  double *inverse, *u, *v;
  uint8* used;
  const int64 stride;

  __device__ bool use(const int k) const { return used[k * stride] != 0; }
  __device__ bool both(const int k) const { return use(k) && use(k + 1); }

  // L D L^T: 1 / D, L^-1 1 and L^-1 d are kept.
  __device__ Fit forward(const Differences& ramp, const Noise& noise) const {
    double i = 0, a = 0, b = 0, total = 0, slope = 0, chisq = 0;
    for (int k = 0; k < ramp.ndiff; ++k) {
      const double m = use(k), beside = k && both(k - 1) ? noise.beside(k - 1) : 0, lower = beside * i;
      i = 1 / (noise.diagonal(k) - beside * lower);
      a = m - lower * a;
      b = m * ramp.d(k) - lower * b;
      total += a * a * i;
      slope += a * b * i;
      chisq += b * b * i;
      inverse[k * stride] = i;
      u[k * stride] = a;
      v[k * stride] = b;
    }
    total = 1 / total;
    return {slope * total, chisq - slope * slope * total, total};
  }
};

// Leave out the one or two differences that take most from chi-square; how many. From the last difference to the first,
// with the inverse of the covariances, less what the rate takes of it: its diagonal, and the one above it.
__device__ inline int leave_out(const Differences& ramp, const Noise& noise, const Kept& kept, const int number, Fit* fit,
                         uint8* groupdq) {
  Omission one = {-(double)infinity(), 0, 0}, two = one;
  double h_next = 0, s_next = 0, e_next = 1, diagonal = 0;
  for (int k = ramp.ndiff - 1; k >= 0; --k) {
    const int64 at = k * kept.stride;
    const double inverse = kept.inverse[at];
    const bool both = k + 1 < ramp.ndiff && kept.both(k);
    const double lower = both ? noise.beside(k) * inverse : 0;
    const double s = (kept.v[at] - fit->rate * kept.u[at]) * inverse - lower * s_next;
    const double h = kept.u[at] * inverse - lower * h_next;
    const double o = -lower * diagonal - h * h_next * fit->total;
    diagonal = inverse + lower * lower * diagonal;
    const double e = diagonal - h * h * fit->total;
    if (kept.use(k)) one.keep(s / e * s, fit->rate - s / e * h * fit->total, k);
    if (both && number > 2 && ramp.pattern[5 * ramp.ndiff + k] > 0) {  // of two in use, both cannot go
      const double per_det = 1 / (e * e_next - o * o);
      const double first = (s * e_next - s_next * o) * per_det, second = (s_next * e - s * o) * per_det;
      two.keep(first * s + second * s_next, fit->rate - (first * h + second * h_next) * fit->total, k);
    }
    h_next = h;
    s_next = s;
    e_next = e;
  }
  const bool pair = !(one.improvement - ONE > two.improvement - TWO);
  if (!(pair ? two.improvement > TWO : one.improvement > ONE)) return 0;
  const Omission best = pair ? two : one;
  for (int k = best.at; k < best.at + (pair ? 2 : 1); ++k) {
    kept.used[k * kept.stride] = 0;
    groupdq[ramp.group_after(k) * ramp.frame] |= JUMP_DET;
  }
  fit->rate = best.rate;
  return pair ? 2 : 1;
}
