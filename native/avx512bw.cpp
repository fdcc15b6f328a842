// AVX-512 without an instruction that counts bits: Skylake-X, Cascade Lake. Bits are counted by look-ups, see
// byte-counts.h; vpternlogq makes the full adder two operations, so that 2 words × 512 bits cost
//
//   2 xor (vpternlogq with masks) + 2 full adder + 6 look-up of both nibbles + 1 add of bytes = 11
//
// instead of 16 operations, on two ports. A tile is 2 windows × 4 vectors of 8 channels: 8 vectors of ones and 8 of
// counts stay in registers.

#include <immintrin.h>

#include "backend.h"
#include "byte-counts.h"
#include "lanes512.h"
#include "walk.h"

namespace xnord {
namespace {

struct Vector512 {
  using Type = __m512i;
  static constexpr int kLanes = 8;
  static constexpr bool kPairs = true;

  static Type zero() { return _mm512_setzero_si512(); }
  static Type load(const uint8_t* from) { return _mm512_load_si512(from); }
  static Type broadcast(const uint8_t* from) {
    long long word;
    memcpy(&word, from, 8);
    return _mm512_set1_epi64(word);
  }
  static Type differ(Type a, Type b) { return _mm512_xor_si512(a, b); }
  static Type differ(Type a, Type b, Type mask) { return _mm512_ternarylogic_epi64(b, a, mask, 0x28); }
  // Where the sum is what the ones were, x and y are equal, and their carry is either; elsewhere it is the ones'.
  static Type add(Type& ones, Type x, Type y) {
    const Type sum = _mm512_ternarylogic_epi64(y, x, ones, 0x96);
    const Type carry = _mm512_ternarylogic_epi64(ones, sum, x, 0xb2);
    ones = sum;
    return carry;
  }
  static Type count(Type bits) {
    const Type low = _mm512_set1_epi8(15);
    const Type counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Type lows = _mm512_shuffle_epi8(counts, _mm512_and_si512(bits, low));
    const Type highs = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(bits, 4), low));
    return _mm512_add_epi8(lows, highs);
  }
  static Type addBytes(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static Type addWords(Type a, Type b) { return _mm512_add_epi64(a, b); }
  static Type shiftWords(Type a, int by) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(by)); }
  static Type sumBytes(Type a) { return _mm512_sad_epu8(a, _mm512_setzero_si512()); }
};

struct BytePairs {
  // 255 · 64 · 2 is less than 2¹⁵, and no weight of a plane is larger than 64.
  static __m512i add(__m512i sums, __m512i pixels, __m512i taps) {
    const __m512i pairs = _mm512_maddubs_epi16(pixels, taps);
    return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

struct Avx512bw : Lanes512 {
  template <int P, int L, bool kMasked>
  [[gnu::always_inline]] static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                             const uint8_t* weights) {
    countBlock<Vector512, L, P, 2, L / 8, kMasked>(sums, step, windows, weights);
  }

  template <int P, int L>
  [[gnu::always_inline]] static void sumPixels(Pixels<L> (&sums)[P], const Step& step,
                                               const uint8_t* const (&windows)[P], const uint8_t* weights) {
    sumTaps<BytePairs>(sums, step, windows, weights);
  }
};

}  // namespace

void runAvx512bw(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runSteps<Avx512bw>(arena, step, steps, slot, rows);
}

}  // namespace xnord
