// AVX2: most x86-64 CPUs since about 2015. Bits are counted by look-ups, see byte-counts.h; 2 words × 256 bits cost
//
//   2 xor (4 operations with masks) + 5 full adder + 6 look-up of both nibbles + 1 add of bytes = 14
//
// instead of 16 operations on three ports (four on Zen). A tile is 2 windows × 2 vectors of 4 channels: 4 vectors of
// ones and 4 of counts stay in the 16 registers.
//
// Pixels: maddubs multiplies bytes and adds pairs, madd adds the pairs of a channel: 3 operations for 8 channels × 4
// taps.

#include <immintrin.h>

#include "backend.h"
#include "byte-counts.h"
#include "walk.h"

namespace xnord {
namespace {

struct Vector256 {
  using Type = __m256i;
  static constexpr int kLanes = 4;
  static constexpr bool kPairs = true;

  static Type zero() { return _mm256_setzero_si256(); }
  static Type load(const uint8_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }
  static Type broadcast(const uint8_t* from) {
    long long word;
    memcpy(&word, from, 8);
    return _mm256_set1_epi64x(word);
  }
  static Type differ(Type a, Type b) { return _mm256_xor_si256(a, b); }
  static Type differ(Type a, Type b, Type mask) { return _mm256_and_si256(_mm256_xor_si256(a, b), mask); }
  static Type add(Type& ones, Type x, Type y) {
    const Type half = _mm256_xor_si256(ones, x);
    const Type carry = _mm256_or_si256(_mm256_and_si256(ones, x), _mm256_and_si256(half, y));
    ones = _mm256_xor_si256(half, y);
    return carry;
  }
  static Type count(Type bits) {
    const Type low = _mm256_set1_epi8(15);
    const Type counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                         0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const Type lows = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
    const Type highs = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low));
    return _mm256_add_epi8(lows, highs);
  }
  static Type addBytes(Type a, Type b) { return _mm256_add_epi8(a, b); }
  static Type addWords(Type a, Type b) { return _mm256_add_epi64(a, b); }
  static Type shiftWords(Type a, int by) { return _mm256_sll_epi64(a, _mm_cvtsi32_si128(by)); }
  static Type sumBytes(Type a) { return _mm256_sad_epu8(a, _mm256_setzero_si256()); }
};

struct Avx2 {
  template <int L>
  struct Bits {
    __m256i groups[L / 4];
  };
  template <int L>
  struct Pixels {
    __m256i groups[L / 8];
  };

  template <int P, int L, bool kMasked>
  static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                      const uint8_t* weights) {
    countBlock<Vector256, L, P, 2, 2, kMasked>(sums, step, windows, weights);
  }

  template <int P, int L>
  static void sumPixels(Pixels<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                        const uint8_t* weights) {
    constexpr int G = L / 8 < 2 ? L / 8 : 2;
    for (int first = 0; first < L / 8; first += G) {
      __m256i dots[P][G];
      unroll<P>([&](auto p) { unroll<G>([&](auto g) { dots[p][g] = _mm256_setzero_si256(); }); });
      const uint8_t* taps = weights + 32 * first;
      uint32_t shifts = step.shifts;
      for (uint32_t plane = 0; plane < step.planes; plane++, shifts >>= 4) {
        const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shifts & 15));
        unroll<P>([&](auto p) { unroll<G>([&](auto g) { dots[p][g] = _mm256_sll_epi32(dots[p][g], shift); }); });
        size_t begin = 0;
        for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
          const size_t end = begin + size_t{4} * step.run;
          for (size_t at = begin; at < end; at += 4, taps += 4 * L) {
            unroll<P>([&](auto p) {
              int four;
              memcpy(&four, windows[p] + at, 4);
              const __m256i input = _mm256_set1_epi32(four);
              unroll<G>([&](auto g) {
                const __m256i weight = _mm256_load_si256(reinterpret_cast<const __m256i*>(taps + 32 * g));
                // 255 · 64 · 2 is less than 2¹⁵, and no weight of a plane is larger than 64.
                const __m256i pairs = _mm256_maddubs_epi16(input, weight);
                dots[p][g] = _mm256_add_epi32(dots[p][g], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
              });
            });
          }
        }
      }
      unroll<P>([&](auto p) { unroll<G>([&](auto g) { sums[p].groups[first + g] = dots[p][g]; }); });
    }
  }

  template <int L>
  static uint32_t fires(const Bits<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    unroll<L / 4>([&](auto g) {
      const __m256i limit = _mm256_cvtepi32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(limits + 4 * g)));
      const __m256i beyond = _mm256_cmpgt_epi64(sums.groups[g], limit);
      bits |= static_cast<uint32_t>(~_mm256_movemask_pd(_mm256_castsi256_pd(beyond)) & 15) << 4 * g;
    });
    return bits;
  }

  template <int L>
  static uint32_t fires(const Pixels<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    unroll<L / 8>([&](auto g) {
      const __m256i limit = _mm256_load_si256(reinterpret_cast<const __m256i*>(limits + 8 * g));
      const __m256i below = _mm256_cmpgt_epi32(limit, sums.groups[g]);
      bits |= static_cast<uint32_t>(~_mm256_movemask_ps(_mm256_castsi256_ps(below)) & 255) << 8 * g;
    });
    return bits;
  }

  template <int L>
  static Bits<L> best(const Bits<L> (&sums)[4]) {
    Bits<L> least;
    unroll<L / 4>([&](auto g) {
      least.groups[g] = _mm256_min_epu32(_mm256_min_epu32(sums[0].groups[g], sums[1].groups[g]),
                                         _mm256_min_epu32(sums[2].groups[g], sums[3].groups[g]));
    });
    return least;
  }

  template <int L>
  static Pixels<L> best(const Pixels<L> (&sums)[4]) {
    Pixels<L> most;
    unroll<L / 8>([&](auto g) {
      most.groups[g] = _mm256_max_epi32(_mm256_max_epi32(sums[0].groups[g], sums[1].groups[g]),
                                        _mm256_max_epi32(sums[2].groups[g], sums[3].groups[g]));
    });
    return most;
  }

  template <int L>
  static void store(const Bits<L>& sums, int32_t* integers) {
    for (int g = 0; g < L / 4; g++) {
      const __m256i halves = _mm256_permutevar8x32_epi32(sums.groups[g], _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
      _mm_store_si128(reinterpret_cast<__m128i*>(integers + 4 * g), _mm256_castsi256_si128(halves));
    }
  }

  template <int L>
  static void store(const Pixels<L>& sums, int32_t* integers) {
    for (int g = 0; g < L / 8; g++) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(integers + 8 * g), sums.groups[g]);
    }
  }

  static uint32_t reach(const float* values, const float* limits) {
    uint32_t bits = 0;
    for (int half = 0; half < 16; half += 8) {
      const __m256 reached = _mm256_cmp_ps(_mm256_load_ps(values + half), _mm256_load_ps(limits + half), _CMP_GE_OQ);
      bits |= static_cast<uint32_t>(_mm256_movemask_ps(reached)) << half;
    }
    return bits;
  }
};

}  // namespace

void runAvx2(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runSteps<Avx2>(arena, step, steps, slot, rows);
}

}  // namespace xnord
