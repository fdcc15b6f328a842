// What both files for AVX-512 share: sums of L channels in vectors of 512 bits, and how they end.
//
// Internal linkage, for the reason that walk.h gives.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "step.h"
#include "unroll.h"

namespace xnord {
namespace {

struct Lanes512 {
  // 64-bit lanes: distances.
  template <int L>
  struct Bits {
    __m512i groups[L / 8];
  };
  // 32-bit lanes: sums.
  template <int L>
  struct Pixels {
    __m512i groups[L / 16];
  };

  template <int L>
  [[gnu::always_inline]] static uint32_t fires(const Bits<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    unroll<L / 8>([&](auto g) {
      const __m512i limit = _mm512_cvtepi32_epi64(_mm256_load_si256(reinterpret_cast<const __m256i*>(limits + 8 * g)));
      bits |= static_cast<uint32_t>(_mm512_cmple_epi64_mask(sums.groups[g], limit)) << 8 * g;
    });
    return bits;
  }

  template <int L>
  [[gnu::always_inline]] static uint32_t fires(const Pixels<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    unroll<L / 16>([&](auto g) {
      const __m512i limit = _mm512_load_si512(limits + 16 * g);
      bits |= static_cast<uint32_t>(_mm512_cmpge_epi32_mask(sums.groups[g], limit)) << 16 * g;
    });
    return bits;
  }

  // No distance has a bit above the 31st, so that 32-bit lanes will do, of which every CPU finds the smaller at once.
  template <int L>
  [[gnu::always_inline]] static Bits<L> best(const Bits<L> (&sums)[4]) {
    Bits<L> least;
    unroll<L / 8>([&](auto g) {
      least.groups[g] = _mm512_min_epu32(_mm512_min_epu32(sums[0].groups[g], sums[1].groups[g]),
                                         _mm512_min_epu32(sums[2].groups[g], sums[3].groups[g]));
    });
    return least;
  }

  template <int L>
  [[gnu::always_inline]] static Pixels<L> best(const Pixels<L> (&sums)[4]) {
    Pixels<L> most;
    unroll<L / 16>([&](auto g) {
      most.groups[g] = _mm512_max_epi32(_mm512_max_epi32(sums[0].groups[g], sums[1].groups[g]),
                                        _mm512_max_epi32(sums[2].groups[g], sums[3].groups[g]));
    });
    return most;
  }

  template <int L>
  [[gnu::always_inline]] static void store(const Bits<L>& sums, int32_t* integers) {
    unroll<L / 8>([&](auto g) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(integers + 8 * g), _mm512_cvtepi64_epi32(sums.groups[g]));
    });
  }

  template <int L>
  [[gnu::always_inline]] static void store(const Pixels<L>& sums, int32_t* integers) {
    unroll<L / 16>([&](auto g) { _mm512_store_si512(integers + 16 * g, sums.groups[g]); });
  }

  static uint32_t reach(const float* values, const float* limits) {
    return _mm512_cmp_ps_mask(_mm512_load_ps(values), _mm512_load_ps(limits), _CMP_GE_OQ);
  }

  // The dot products of P windows and a block's taps: four bytes of pixels, broadcast, meet four taps of each of 16
  // channels. `Dot` adds the four products to a lane.
  //
  //   pixels   [p0 p1 p2 p3 | p0 p1 p2 p3 | …]    taps   [c0 c0 c0 c0 | c1 c1 c1 c1 | …]
  template <class Dot, int P, int L>
  [[gnu::always_inline]] static void sumTaps(Pixels<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                             const uint8_t* weights) {
    constexpr int G = L / 16;
    unroll<P>([&](auto p) { unroll<G>([&](auto g) { sums[p].groups[g] = _mm512_setzero_si512(); }); });
    uint32_t shifts = step.shifts;
    for (uint32_t plane = 0; plane < step.planes; plane++, shifts >>= 4) {
      if (plane > 0) {
        const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shifts & 15));
        unroll<P>([&](auto p) {
          unroll<G>([&](auto g) { sums[p].groups[g] = _mm512_sll_epi32(sums[p].groups[g], shift); });
        });
      }
      size_t begin = 0;
      for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
        const size_t end = begin + size_t{4} * step.run;
        for (size_t at = begin; at < end; at += 4) {
          __m512i taps[G];
          unroll<G>([&](auto g) { taps[g] = _mm512_load_si512(weights + 64 * g); });
          weights += 4 * L;
          unroll<P>([&](auto p) {
            int four;
            memcpy(&four, windows[p] + at, 4);
            const __m512i input = _mm512_set1_epi32(four);
            unroll<G>([&](auto g) { sums[p].groups[g] = Dot::add(sums[p].groups[g], input, taps[g]); });
          });
        }
      }
    }
  }
};

}  // namespace
}  // namespace xnord
