// Internal linkage, for the reason that walk.h gives.
#pragma once

namespace xnord {
namespace {

template <int I>
struct Index {
  constexpr operator int() const { return I; }
};

// A loop that is gone before the compiler decides which arrays can live in registers.
template <int N, int I = 0, class Body>
[[gnu::always_inline]] inline void unroll(const Body& body) {
  if constexpr (I < N) {
    body(Index<I>());
    unroll<N, I + 1>(body);
  }
}

}  // namespace
}  // namespace xnord
