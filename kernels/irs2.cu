// NIRSpec's IRS2 frames [nrow, nx]: five outputs of nrow / 5 samples a line, turns of 16 pixels and 4 samples at the
// references, in 22 ticks (gpujw/irs2.py). series[5, nx, ntick] float32 is in the order of time; means[nrow, nx]
// float64; sources[nrow, 2], target[nrow] int32; lines[5, 2] float32. A block is a tile of 8 rows by 32 columns.
#include "gpujw.cuh"

struct Place {
  int64 row, column, output, line, tick;
  bool reference;
};

// Where this thread's sample lies in the frame and in time; false beyond the frame.
static __device__ bool placed(Place& p, const int64 nrow, const int64 nx, const int64 reverse) {
  const int64 tile = GJ_INDEX / 256, lane = GJ_INDEX % 256, across = (nx + 31) / 32;
  p.row = tile / across * 8 + lane / 32;
  p.column = tile % across * 32 + lane % 32;
  if (p.row >= nrow || p.column >= nx) return false;
  const int64 length = nrow / 5, x = reverse ? nrow - 1 - p.row : p.row;
  p.output = x / length;
  const int64 sample = p.output % 2 == 0 ? length - 1 - x % length : x % length;
  p.reference = (sample + 12) % 20 < 4;
  p.tick = sample + 2 * ((sample + 12) / 20) - (p.reference ? 1 : 0);
  p.line = reverse ? nx - 1 - p.column : p.column;
  return true;
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
                  const int64 nrow, const int64 nx, const int64 ntick, const int64 reverse) {
  Place p;
  if (!placed(p, nrow, nx, reverse) || (p.output > 0 && !p.reference)) return;
  const float value = less_line(frame, means, sources, lines, p, nx, ntick);
  float* line = series + (p.output * nx + p.line) * ntick;
  const int64 read = p.tick % 22 - 9;
  if (p.output == 0) {
    line[p.tick] = value;
  } else {
    const int64 at = p.tick - p.tick % 22 + 7 + read % 2 * 4 + read / 2;
    line[at] = line[at + 2] = value;
  }
}

GJ_KERNEL fill_gaps(const float* series, const float* window, float* filled, const int64 n, const int64 nwindow) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  filled[i] = series[i];
  if (series[i] != 0.0f) return;
  double values = 0.0, weights = 0.0;
  for (int64 k = 0; k < nwindow; ++k) {
    const int64 j = ((i + k - nwindow / 2) % n + n) % n;
    values += (double)window[k] * (double)series[j];
    weights += series[j] != 0.0f ? (double)window[k] : 0.0;
  }
  if ((float)weights != 0.0f) filled[i] = (float)values / (float)weights;
}

GJ_KERNEL subtract(const float* frame, const double* means, const int* sources, const float* lines, const float* series,
                   const int* target, float* out, const int64 nrow, const int64 nx, const int64 ntick,
                   const int64 reverse) {
  Place p;
  if (!placed(p, nrow, nx, reverse) || target[p.row] < 0) return;
  float value = series[(p.output * nx + p.line) * ntick + p.tick];
  if (p.output > 0) value = less_line(frame, means, sources, lines, p, nx, ntick) - value;
  const double mean = p.output > 0 && p.reference ? 0.0 : means[p.row * nx + p.column];
  out[target[p.row] * nx + p.column] = (float)((double)value + mean);
}
