// Connected components of flags[n, ny, nx] uint8 & bit, touching sides or corners, by union-find on labels[n, ny, nx]
// int32: the index in its frame of a pixel's parent, itself for a root, NONE where not flagged. Links only ever go to
// lesser indices, so the root is the component's first pixel whatever the order of the threads, and an old value seen
// by a reader is still an ancestor. Komura 2015, Comput. Phys. Commun. 194, 54; Playne & Hawick 2018, IEEE TPDS 29, 1217.
#include "gpujw.cuh"

constexpr int NONE = -1;
// A root of which `number` has made component k holds NAMED - k.
constexpr int NAMED = -2;
constexpr int COLUMNS = 8;  // of table: frame, area, sums of x and y, first row, row after the last, and so for columns
constexpr int THREADS = 256;

GJ_KERNEL seed(const uint8* flags, int* labels, const int64 n, const int64 plane, const uint8 bit) {
  const int64 i = GJ_INDEX;
  if (i < n) labels[i] = flags[i] & bit ? (int)(i % plane) : NONE;
}

// Other threads may be moving the parents: each is read atomically.
__device__ int root(int* labels, int i) {
  for (int parent = atomicOr(&labels[i], 0); parent != i; parent = atomicOr(&labels[i], 0)) i = parent;
  return i;
}

__device__ void join(int* labels, int a, int b) {
  while (true) {
    a = root(labels, a);
    b = root(labels, b);
    if (a == b) return;
    const int low = a < b ? a : b, high = a < b ? b : a;
    const int old = atomicMin(&labels[high], low);
    if (old == high) return;
    a = old;
    b = low;
  }
}

// Joins each pixel with its neighbors before it in reading order, but those that another of them is joined with.
GJ_KERNEL unite(const uint8* flags, int* labels, const int64 n, const int64 plane, const int64 nx, const uint8 bit) {
  const int64 i = GJ_INDEX;
  if (i >= n || !(flags[i] & bit)) return;
  int* frame = labels + i / plane * plane;
  const int p = (int)(i % plane), x = p % (int)nx, up = p - (int)nx;
  const bool before = x > 0 && flags[i - 1] & bit;
  if (before) join(frame, p, p - 1);
  if (up < 0) return;
  const uint8* row = flags + i - nx;
  if (row[0] & bit) return join(frame, p, up);
  if (!before && x > 0 && row[-1] & bit) join(frame, p, up - 1);
  if (x + 1 < nx && row[1] & bit) join(frame, p, up + 1);
}

// Component k has its root at roots[k], counted through all frames.
GJ_KERNEL number(const int64* roots, int* labels, int64* table, const int64 n, const int64 plane) {
  const int64 k = GJ_INDEX;
  if (k >= n) return;
  labels[roots[k]] = NAMED - (int)k;
  table[k * COLUMNS] = roots[k] / plane;
  table[k * COLUMNS + 4] = table[k * COLUMNS + 6] = plane;
}

// The component that pixel p of a frame belongs to, NONE for none.
__device__ int component(const int* frame, const int64 p) {
  int label = frame[p];
  while (label >= 0) label = frame[label];
  return label == NONE ? NONE : NAMED - label;
}

__device__ void add(int64* sum, const int64 value) { atomicAdd((uint64*)sum, (uint64)value); }

GJ_KERNEL measure(const int* labels, int64* table, const int64 n, const int64 plane, const int64 nx) {
  const int64 i = GJ_INDEX;
  if (i >= n) return;
  const int k = component(labels + i / plane * plane, i % plane);
  if (k == NONE) return;
  int64* t = table + (int64)k * COLUMNS;
  const int64 x = i % plane % nx, y = i % plane / nx;
  add(t + 1, 1);
  add(t + 2, x);
  add(t + 3, y);
  atomicMin(t + 4, y);
  atomicMax(t + 5, y + 1);
  atomicMin(t + 6, x);
  atomicMax(t + 7, x + 1);
}

// out[j]: sums of dx^2, dx dy, dy^2 of component which[j]. One block each: a thread a column, the first over columns.
GJ_KERNEL __launch_bounds__(THREADS)
    moments(const int* labels, const int64* table, const int64* which, double* out, const int64 plane, const int64 nx) {
  GJ_SHARED(double, columns, 3 * THREADS);
  const int64 k = which[blockIdx.x];
  const int64* t = table + k * COLUMNS;
  const int* frame = labels + t[0] * plane;
  const double x = (double)(t[2] - t[1] * t[6]) / t[1], y = (double)(t[3] - t[1] * t[4]) / t[1];
  double xx = 0, xy = 0, yy = 0;
  for (int64 x0 = t[6]; x0 < t[7]; x0 += THREADS) {
    const int64 column = x0 + threadIdx.x;
    double area = 0, first = 0, second = 0;
    for (int64 row = t[4]; row < t[5] && column < t[7]; ++row) {
      const double dy = (double)(row - t[4]) - y;
      if (component(frame, row * nx + column) == k) area += 1, first += dy, second += dy * dy;
    }
    double* mine = columns + 3 * threadIdx.x;
    mine[0] = area, mine[1] = first, mine[2] = second;
    __syncthreads();
    for (int64 c = 0; threadIdx.x == 0 && c < THREADS && x0 + c < t[7]; ++c) {
      const double dx = (double)(x0 + c - t[6]) - x;
      xx = fma(columns[3 * c], dx * dx, xx);
      xy = fma(columns[3 * c + 1], dx, xy);
      yy += columns[3 * c + 2];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) out[3 * blockIdx.x] = xx, out[3 * blockIdx.x + 1] = xy, out[3 * blockIdx.x + 2] = yy;
}

// Lets the outside (2) flow among the pixels not reached yet (0), one sweep, forth or back.
__device__ bool flow(uint8* state, const int64 height, const int64 width, const bool back) {
  bool gained = false;
  for (int64 j = width + 1; j < (height - 1) * width - 1; ++j) {
    const int64 i = back ? height * width - 1 - j : j;
    if (state[i] != 0) continue;
    bool reached = false;
    for (int64 dy = -width; dy <= width; dy += width)
      for (int64 dx = -1; dx <= 1; ++dx) reached |= state[i + dy + dx] == 2;
    if (reached) state[i] = 2, gained = true;
  }
  return gained;
}

// area[j]: that of component which[j] with its holes. Each thread floods a box of its own, state[start[j]] onwards,
// one pixel wider than the component on each side.
GJ_KERNEL fill(const int* labels, const int64* table, const int64* which, const int64* start, uint8* state, int64* area,
               const int64 n, const int64 plane, const int64 nx) {
  const int64 j = GJ_INDEX;
  if (j >= n) return;
  const int64* t = table + which[j] * COLUMNS;
  const int* frame = labels + t[0] * plane;
  const int64 height = t[5] - t[4] + 2, width = t[7] - t[6] + 2;
  uint8* box = state + start[j];
  for (int64 i = 0; i < height * width; ++i) {
    const int64 y = i / width, x = i % width;
    const bool rim = y == 0 || y == height - 1 || x == 0 || x == width - 1;
    box[i] = rim ? 2 : component(frame, (t[4] + y - 1) * nx + t[6] + x - 1) == which[j];
  }
  while (flow(box, height, width, false) || flow(box, height, width, true)) continue;
  area[j] = 0;
  for (int64 i = 0; i < height * width; ++i) area[j] += box[i] != 2;
}
