// Connected components of flags[n, ny, nx] uint8 & bit, touching sides or corners, by union-find on labels[n, ny, nx]
// int32: the index in its frame of a pixel's parent, itself for a root, NONE where not flagged. Links only ever go to
// lesser indices, so the root is the component's first pixel whatever the order of the threads, and an old value seen
// by a reader is still an ancestor. Komura 2015, Comput. Phys. Commun. 194, 54; Playne & Hawick 2018, IEEE TPDS 29, 1217.
#include "gpujw.cuh"

constexpr int NONE = -1;
// A root of which `number` has made component k holds NAMED - k.
constexpr int NAMED = -2;
constexpr int COLUMNS = 11;  // frame, area, sums of x, y, xx, xy, yy, first row, row after the last, and so for columns

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

// Joins each pixel with its neighbours before it in reading order, but those that another of them is joined with.
GJ_KERNEL unite(int* labels, const int64 n, const int64 plane, const int64 nx) {
  const int64 i = GJ_INDEX;
  if (i >= n || labels[i] == NONE) return;
  int* frame = labels + i / plane * plane;
  const int p = (int)(i % plane), x = p % (int)nx, up = p - (int)nx;
  const bool above = up >= 0, before = x > 0 && frame[p - 1] != NONE;
  if (before) join(frame, p, p - 1);
  if (!above) return;
  if (frame[up] != NONE) {
    join(frame, p, up);
    return;
  }
  if (!before && x > 0 && frame[up - 1] != NONE) join(frame, p, up - 1);
  if (x + 1 < nx && frame[up + 1] != NONE) join(frame, p, up + 1);
}

// first[n] marks the roots.
GJ_KERNEL mark(const int* labels, uint8* first, const int64 n, const int64 plane) {
  const int64 i = GJ_INDEX;
  if (i < n) first[i] = labels[i] == (int)(i % plane);
}

// Component k has its root at roots[k], counted through all frames.
GJ_KERNEL number(const int64* roots, int* labels, int64* table, const int64 n, const int64 plane) {
  const int64 k = GJ_INDEX;
  if (k >= n) return;
  labels[roots[k]] = NAMED - (int)k;
  table[k * COLUMNS] = roots[k] / plane;
  table[k * COLUMNS + 7] = table[k * COLUMNS + 9] = plane;
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
  add(t + 4, x * x);
  add(t + 5, x * y);
  add(t + 6, y * y);
  atomicMin(t + 7, y);
  atomicMax(t + 8, y + 1);
  atomicMin(t + 9, x);
  atomicMax(t + 10, x + 1);
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
  const int64 height = t[8] - t[7] + 2, width = t[10] - t[9] + 2;
  uint8* box = state + start[j];
  for (int64 i = 0; i < height * width; ++i) {
    const int64 y = i / width, x = i % width;
    const bool rim = y == 0 || y == height - 1 || x == 0 || x == width - 1;
    box[i] = rim ? 2 : component(frame, (t[7] + y - 1) * nx + t[9] + x - 1) == which[j];
  }
  while (flow(box, height, width, false) || flow(box, height, width, true)) continue;
  area[j] = 0;
  for (int64 i = 0; i < height * width; ++i) area[j] += box[i] != 2;
}
