// NIRSpec's IRS2 frames [nrow, nx]: five outputs of nrow / 5 samples a line, turns of 16 pixels and 4 samples at the
// references, in 22 ticks (gpujw/irs2.py). series[5, radix, nx, nstep] float32: tick t of line y at [t % radix, y,
// t / radix]; means[nrow, nx] float64; sources[nrow, 2], target[nrow] int32; lines[5, 2] float32.
#include "gpujw.cuh"

struct Place {
  int64 row, column, output, line, tick;
  bool reference;
};

// Where this thread's sample lies in time and in the frame; false between samples and beyond the frame.
static __device__ bool placed(Place& p, const int64 i, const int64 nrow, const int64 nx, const int64 radix,
                              const int64 nstep, const int64 reverse) {
  const int64 across = (nx + 31) / 32, tile = i / 32 / nstep, length = nrow / 5;
  p.tick = tile / across % radix + i / 32 % nstep * radix;
  p.column = tile % across * 32 + i % 32;
  p.output = tile / across / radix;
  const int64 turn = (p.tick - 8) / 22, rest = (p.tick - 8) % 22;
  p.reference = p.tick >= 8 && rest >= 1 && rest <= 4;
  if (p.column >= nx || (p.tick >= 8 && (rest == 0 || rest == 5))) return false;
  const int64 sample = p.tick < 8 ? p.tick : turn * 20 + rest + (p.reference ? 7 : 6);
  if (sample >= length) return false;
  const int64 x = p.output * length + (p.output % 2 == 0 ? length - 1 - sample : sample);
  p.row = reverse ? nrow - 1 - x : x;
  p.line = reverse ? nx - 1 - p.column : p.column;
  return true;
}

static __device__ int64 at(const int64 tick, const Place& p, const int64 nx, const int64 radix, const int64 nstep) {
  return ((p.output * radix + tick % radix) * nx + p.line) * nstep + tick / radix;
}

// The sample, or what stands for it.
static __device__ float sample(const float* frame, const int* sources, const int64 row, const int64 column,
                               const int64 nx) {
  const int first = sources[2 * row], second = sources[2 * row + 1];
  return first < 0 ? 0.0f : (frame[first * nx + column] + frame[second * nx + column]) * 0.5f;
}

static __device__ float less_line(const float* frame, const double* means, const int* sources, const float* lines,
                                  const Place& p, const int64 nx, const int64 ntick) {
  const double middle = (double)(nx * ntick - 1) / 2;
  const double mean = means[p.row * nx + p.column];
  const float value = (float)((double)sample(frame, sources, p.row, p.column, nx) - mean);
  const float time = (float)((double)(p.line * ntick + p.tick) - middle);
  return value != 0.0f ? value - (lines[2 * p.output] + time * lines[2 * p.output + 1]) : 0.0f;
}

GJ_KERNEL sample_means(const float* data, const int* sources, double* means, const int64 n, const int64 ngroup,
                       const int64 nx) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  double total = 0.0;
  for (int64 g = 0; g < ngroup; ++g) total += (double)sample(data + g * n, sources, i / nx, i % nx, nx);
  means[i] = total / (double)ngroup;
}

// A sample at an amplifier's references is put twice: its tick of the turn, 9 + read, becomes 7, 11, 8 or 12, and that
// plus 2.
GJ_KERNEL lay_out(const float* frame, const double* means, const int* sources, const float* lines, float* series,
                  const int64 n, const int64 nrow, const int64 nx, const int64 radix, const int64 nstep,
                  const int64 reverse) {
  const int64 i = GJ_INDEX;
  Place p;
  if (i >= n || !placed(p, i, nrow, nx, radix, nstep, reverse) || (p.output > 0 && !p.reference)) return;
  const float value = less_line(frame, means, sources, lines, p, nx, radix * nstep);
  const int64 read = p.tick % 22 - 9, first = p.tick - p.tick % 22 + 7 + read % 2 * 4 + read / 2;
  series[at(p.output > 0 ? first : p.tick, p, nx, radix, nstep)] = value;
  if (p.output > 0) series[at(first + 2, p, nx, radix, nstep)] = value;
}

GJ_KERNEL fill_gaps(const float* series, const float* window, float* filled, const int64 radix, const int64 length,
                    const int64 nwindow) {
  const int64 i = GJ_INDEX, n = radix * length;
  if (i >= n) return;
  filled[i] = series[i];
  if (series[i] != 0.0f) return;
  const int64 here = i % length * radix + i / length;
  double values = 0.0, weights = 0.0;
  for (int64 k = 0; k < nwindow; ++k) {
    const int64 there = ((here + k - nwindow / 2) % n + n) % n;
    const float sample = series[there % radix * length + there / radix];
    values += (double)window[k] * (double)sample;
    weights += sample != 0.0f ? (double)window[k] : 0.0;
  }
  if ((float)weights != 0.0f) filled[i] = (float)values / (float)weights;
}

GJ_KERNEL subtract(const float* frame, const double* means, const int* sources, const float* lines, const float* series,
                   const int* target, float* out, const int64 n, const int64 nrow, const int64 nx, const int64 radix,
                   const int64 nstep, const int64 reverse) {
  const int64 i = GJ_INDEX;
  Place p;
  if (i >= n || !placed(p, i, nrow, nx, radix, nstep, reverse) || target[p.row] < 0) return;
  float value = series[at(p.tick, p, nx, radix, nstep)];
  if (p.output > 0) value = less_line(frame, means, sources, lines, p, nx, radix * nstep) - value;
  const double mean = p.output > 0 && p.reference ? 0.0 : means[p.row * nx + p.column];
  out[target[p.row] * nx + p.column] = (float)((double)value + mean);
}
