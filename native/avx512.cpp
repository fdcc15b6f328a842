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
// bench/peak.cpp measures it. With masks, it is 4 masks that stay and 16 signs that are loaded, one for each vpternlogq
// to overwrite: 24 loads a word, which take Zen 4 as long as the 48 operations. Pooled windows are the tile's four, and
// leave it as one.

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
  template <int P, int L, bool kMasked>
  [[gnu::always_inline]] static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                             const uint8_t* weights) {
    constexpr int G = L / 8;
    constexpr size_t kWord = kMasked ? 16 * L : 8 * L;
    const auto addWord = [&](size_t at, auto isFirst) __attribute__((always_inline)) {
      __m512i constants[G];
      unroll<G>([&](auto g) { constants[g] = _mm512_load_si512(weights + (kMasked ? 8 * L : 0) + 64 * g); });
      const uint8_t* signs = weights;
      unroll<P>([&](auto p) {
        long long word;
        memcpy(&word, windows[p] + at, 8);
        const __m512i input = _mm512_set1_epi64(word);
        // vpternlogq overwrites an operand. Let that be signs that are loaded anew: a copy would cost a port. The
        // compiler must not see that they are what it loaded before.
        if constexpr (kMasked) asm("" : "+r"(signs));
        unroll<G>([&](auto g) {
          __m512i differ;
          if constexpr (kMasked) {
            constexpr int kDifferAndMask = 0x28;
            differ = _mm512_ternarylogic_epi64(_mm512_load_si512(signs + 64 * g), input, constants[g], kDifferAndMask);
          } else {
            differ = _mm512_xor_si512(input, constants[g]);
          }
          const __m512i count = _mm512_popcnt_epi64(differ);
          sums[p].groups[g] = isFirst == 1 ? count : _mm512_add_epi64(sums[p].groups[g], count);
        });
      });
      weights += kWord;
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
