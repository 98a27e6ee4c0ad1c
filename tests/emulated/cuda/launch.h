// A launch: arguments unpacked to the kernel's own types, blocks over OpenMP threads; and what a module exports.
#pragma once

namespace emu {

struct Launch {  // laid out as ctypes lays it out in standin/cupy/_raw.py
  unsigned grid[3], block[3];
  size_t dynamic_size;
  void** arguments;
  int order;
  unsigned seed;
  int nthread;
  char* error;
  int error_size;
};

template <class K>
struct Traits;
template <class... A>
struct Traits<void (*)(A...)> {
  using Arguments = std::tuple<std::remove_cv_t<A>...>;
};
template <class T, size_t... I>
T unpack(void** a, std::index_sequence<I...>) {
  return T{*static_cast<std::tuple_element_t<I, T>*>(a[I])...};
}

template <auto K>
EMU_INLINE void body(Block* b, void* pointer) {
  auto& arguments = *static_cast<typename Traits<decltype(K)>::Arguments*>(pointer);
  while (b->started < b->nthread) {
    begin_thread(b);
    std::apply(K, arguments);
    b = self;
    end_thread(b);
#if defined(__SANITIZE_THREAD__)
    break;  // a TSan fiber for each CUDA thread
#endif
  }
}

EMU_UNSEEN_CALL static void set_dimensions(const Launch* launch) {
  blockDim = {launch->block[0], launch->block[1], launch->block[2]};
  gridDim = {launch->grid[0], launch->grid[1], launch->grid[2]};
}

EMU_UNSEEN_CALL static void set_block(long i) {
  blockIdx.x = i % gridDim.x;
  blockIdx.y = i / gridDim.x % gridDim.y;
  blockIdx.z = i / gridDim.x / gridDim.y;
}

EMU_UNSEEN_CALL static void shuffle(Block* b, unsigned seed) {
  unsigned r = seed * 2654435761u + 12345u;
  for (unsigned i = 0; i < b->nthread; i++) b->permutation[i] = i;
  for (unsigned i = b->nthread - 1; i > 0; i--) {
    r = r * 1664525u + 1013904223u;
    std::swap(b->permutation[i], b->permutation[((uint64_t)r * (i + 1)) >> 32]);
  }
}

EMU_UNSEEN_CALL static Block* prepare(const Launch* launch) {
  set_dimensions(launch);
  if (!self) self = static_cast<Block*>(calloc(1, sizeof(Block)));
  Block* b = self;
  b->nthread = launch->block[0] * launch->block[1] * launch->block[2];
  b->order = launch->order;
  b->failed = false;
  b->error = launch->error;
  b->error_size = launch->error_size;
  if (b->order == SHUFFLED) shuffle(b, launch->seed);
  b->dynamic_size = launch->dynamic_size;
  b->dynamic = heap(b->dynamic_size);
  b->at_barrier = heap(1 + MAX_THREADS / 32);
#if defined(__SANITIZE_THREAD__)
  b->home.tsan_fiber = __tsan_get_current_fiber();
#endif
  return b;
}

EMU_UNSEEN_CALL static bool finish(Block* b) {
  EMU_ACQUIRE(&b->at_end);
#if defined(__SANITIZE_THREAD__)
  tsan_fibers.launch_ends();
#endif
  free_old(b);
  free(b->dynamic);
  free(b->at_barrier);
  b->dynamic = nullptr;
  return b->failed;
}

template <auto K>
int run(const Launch* launch) {
  using Arguments = typename Traits<decltype(K)>::Arguments;
  constexpr auto all = std::make_index_sequence<std::tuple_size_v<Arguments>>();
  const Arguments given = unpack<Arguments>(launch->arguments, all);
  const long nblock = (long)launch->grid[0] * launch->grid[1] * launch->grid[2];
  int failed = 0;
#pragma omp parallel num_threads(launch->nthread) reduction(| : failed)
  {
    Arguments arguments = given;
    Block* b = prepare(launch);
    b->body = body<K>;
    b->arguments = &arguments;
#pragma omp for schedule(dynamic)
    for (long i = 0; i < nblock; i++) {
      if (b->failed) continue;
      set_block(launch->order == FORWARD ? i : nblock - 1 - i);
      if (b->dynamic) memset(b->dynamic, 0xFF, b->dynamic_size);
      run_block(b);
#ifdef EMU_CHECK
      renew_memory(b);
#endif
    }
    failed |= finish(b);
  }
  return failed;
}

// A kernel's parameters in words: "Pf4 Pcu1 i8 V24" is float*, const unsigned char*, long long, a struct of 24 bytes.
template <class T>
std::string type_name() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_pointer_v<U>) {
    using E = std::remove_pointer_t<U>;
    return std::string("P") + (std::is_const_v<E> ? "c" : "") + type_name<E>();
  } else if constexpr (std::is_void_v<U>) {
    return "v";
  } else {
    const char* kind = std::is_same_v<U, bool>        ? "b"
                       : std::is_floating_point_v<U>  ? "f"
                       : !std::is_integral_v<U>       ? "V"
                       : std::is_signed_v<U>          ? "i"
                                                      : "u";
    return kind + std::to_string(sizeof(U));
  }
}
template <class T>
struct Signature;
template <class... A>
struct Signature<std::tuple<A...>> {
  static std::string text() { return ((type_name<A>() + " ") + ... + std::string()); }
};
template <auto K>
const char* signature() {
  static const std::string text = Signature<typename Traits<decltype(K)>::Arguments>::text();
  return text.c_str();
}

}  // namespace emu

#define EMU_EXPORT(i, kernel)                                                                     \
  extern "C" EMU_API int emu_run##i(const emu::Launch* launch) { return emu::run<kernel>(launch); } \
  extern "C" EMU_API const char* emu_signature##i() { return emu::signature<kernel>(); }
