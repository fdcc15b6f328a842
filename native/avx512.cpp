// AVX-512 that counts bits by itself (VPOPCNTDQ), with dot products of bytes (VNNI): Ice Lake, Zen 4 and later.
//
// Eight output channels are the lanes of a vector, so that no sum crosses lanes. A tile is 4 windows × 4 vectors:
//
//                 signs of channels 0–7 | 8–15 | 16–23 | 24–31      4 loads a word
//   window 0: a →      xor, popcnt, add |  ..  |   ..  |   ..       a: 64 bits of input, broadcast by the load
//   window 1: b →             ..                                    16 sums and 4 signs stay in registers
//   window 2: c →             ..
//   window 3: d →             ..
//
// Three operations for 512 multiplications with addition, of which loads take none of the ports: the bound is
// 3 / (vector ports) cycles, 1.5 on two ports (Intel) and on four of 256 bits (Zen 4), 0.75 on four of 512 (Zen 5).
// bench/peak.cpp measures it.
//
// With masks, vpternlogq takes the place of xor, and the bound stays: it overwrites an operand, but Zen 4 copies a
// register by renaming it, and the last of a window's four may have the input itself. 4 signs, 4 masks and 4 words are
// 12 loads for 48 operations. What Zen 4 reaches depends on the order, even where nothing is loaded: of copies it makes
// one vpternlogq a cycle where it makes two xors, and vpternlogq, vpopcntq, vpaddq one after the other take 1.84
// cycles. By kind, 8 after 8 after 8, those of two windows take 1.66; 4 of a kind take 1.75, and there are no registers
// for 16. Pooled windows are the tile's four, and leave it as one.

#include <immintrin.h>

#include "backend.h"
#include "lanes512.h"
#include "walk.h"

namespace xnord {
namespace {

struct DotProducts {
  static __m512i add(__m512i sums, __m512i pixels, __m512i taps) { return _mm512_dpbusd_epi32(sums, pixels, taps); }
};

struct Avx512 : Lanes512 {
  [[gnu::always_inline]] static __m512i broadcast(const uint8_t* input) {
    long long word;
    memcpy(&word, input, 8);
    return _mm512_set1_epi64(word);
  }

  template <bool kFirst>
  [[gnu::always_inline]] static void add(__m512i& sums, __m512i counts) {
    sums = kFirst ? counts : _mm512_add_epi64(sums, counts);
  }

  template <bool kFirst, int P, int L>
  [[gnu::always_inline]] static void addPlainWord(Bits<L> (&sums)[P], const uint8_t* const (&windows)[P], size_t at,
                                                  const uint8_t* weights) {
    constexpr int G = L / 8;
    __m512i signs[G];
    unroll<G>([&](auto g) { signs[g] = _mm512_load_si512(weights + 64 * g); });
    unroll<P>([&](auto p) __attribute__((always_inline)) {
      const __m512i input = broadcast(windows[p] + at);
      unroll<G>([&](auto g) __attribute__((always_inline)) {
        add<kFirst>(sums[p].groups[g], _mm512_popcnt_epi64(_mm512_xor_si512(input, signs[g])));
      });
    });
  }

  template <bool kFirst, int P, int L>
  [[gnu::always_inline]] static void addMaskedWord(Bits<L> (&sums)[P], const uint8_t* const (&windows)[P], size_t at,
                                                   const uint8_t* weights) {
    constexpr int G = L / 8;
    constexpr int kTogether = P % 2 == 0 ? 2 : 1;
    __m512i signs[G];
    __m512i masks[G];
    unroll<G>([&](auto g) {
      signs[g] = _mm512_load_si512(weights + 64 * g);
      masks[g] = _mm512_load_si512(weights + 8 * L + 64 * g);
    });
    unroll<P / kTogether>([&](auto pair) __attribute__((always_inline)) {
      __m512i differ[kTogether][G];
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        constexpr int kDifferAndMask = 0x28;
        const __m512i input = broadcast(windows[kTogether * pair + i] + at);
        unroll<G>([&](auto g) { differ[i][g] = _mm512_ternarylogic_epi64(input, signs[g], masks[g], kDifferAndMask); });
      });
      __m512i counts[kTogether][G];
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        unroll<G>([&](auto g) { counts[i][g] = _mm512_popcnt_epi64(differ[i][g]); });
      });
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        unroll<G>([&](auto g) { add<kFirst>(sums[kTogether * pair + i].groups[g], counts[i][g]); });
      });
      // GCC would move the next pair's loads up here, among the additions.
      asm volatile("" ::: "memory");
    });
  }

  template <int P, int L, bool kMasked>
  [[gnu::always_inline]] static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                             const uint8_t* weights) {
    constexpr int G = L / 8;
    const auto addWord = [&](size_t at, auto isFirst) __attribute__((always_inline)) {
      constexpr bool kFirst = isFirst == 1;
      if constexpr (kMasked) {
        addMaskedWord<kFirst>(sums, windows, at, weights);
      } else {
        addPlainWord<kFirst>(sums, windows, at, weights);
      }
      weights += kMasked ? 16 * L : 8 * L;
    };

    // A window of 3 × 3 pixels with 128 channels has 18 words: an addition to zero would be one of 54 operations.
    addWord(0, Index<1>());
    size_t at = 8;
    uint32_t shifts = step.shifts;
    for (uint32_t plane = 0; plane < step.planes; plane++, shifts >>= 4, at = 0) {
      if (plane > 0) {
        const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shifts & 15));
        unroll<P>([&](auto p) {
          unroll<G>([&](auto g) { sums[p].groups[g] = _mm512_sll_epi64(sums[p].groups[g], shift); });
        });
      }
      size_t begin = 0;
      for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine, at = begin) {
        const size_t end = begin + size_t{8} * step.run;
        for (; at < end; at += 8) addWord(at, Index<0>());
      }
    }
  }

  template <int P, int L>
  [[gnu::always_inline]] static void sumPixels(Pixels<L> (&sums)[P], const Step& step,
                                               const uint8_t* const (&windows)[P], const uint8_t* weights) {
    sumTaps<DotProducts>(sums, step, windows, weights);
  }
};

}  // namespace

void runAvx512(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runSteps<Avx512>(arena, step, steps, slot, rows);
}

}  // namespace xnord
