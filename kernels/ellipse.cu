// Flags in the pixels whose centers lie inside ellipses[k, 12] float64 (as ellipse.py lists their columns).
// One thread a pixel of the largest box, for each ellipse; where ellipses overlap, threads store the same value.
#include "dq.cuh"
#include "gpujw.cuh"

constexpr int COLUMNS = 12;

struct Pixel {
  int64 integration, group, place;  // place: the flat index in a frame
  bool inside;
};

__device__ Pixel pixel(const double* ellipses, const int64 index, const int64 largest, const int64 nx) {
  const double* e = ellipses + index / largest * COLUMNS;
  const int64 width = (int64)e[5] - (int64)e[4], height = (int64)e[3] - (int64)e[2], p = index % largest;
  if (p >= width * height) return {0, 0, 0, false};
  const int64 row = (int64)e[2] + p / width, column = (int64)e[4] + p % width;
  const double dy = row - e[6], dx = column - e[7], sine = e[8], cosine = e[9];
  const double u = (dy * cosine + dx * sine) / e[10], v = (dy * sine - dx * cosine) / e[11];
  return {(int64)e[0], (int64)e[1], row * nx + column, u * u + v * v < 1};
}

GJ_KERNEL saturate(uint8* groupdq, const double* ellipses, const int64 n, const int64 largest, const int64 ngroup,
                   const int64 plane, const int64 nx) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const Pixel p = pixel(ellipses, index, largest, nx);
  if (!p.inside) return;
  for (int64 k = p.group; k < ngroup; ++k) groupdq[(p.integration * ngroup + k) * plane + p.place] = SATURATED;
}

GJ_KERNEL flag(uint8* marks, const uint8* groupdq, const double* ellipses, const int64 n, const int64 largest,
               const int64 ngroup, const int64 plane, const int64 nx, const int64 after, const uint8 spare) {
  const int64 index = GJ_INDEX;
  if (index >= n) return;
  const Pixel p = pixel(ellipses, index, largest, nx);
  if (!p.inside) return;
  for (int64 k = p.group; k < ngroup && k <= p.group + after; ++k) {
    const int64 place = (p.integration * ngroup + k) * plane + p.place;
    if (groupdq[place] & spare) return;
    marks[place] |= JUMP_DET;
  }
}
