// NEON, part of every 64-bit ARM CPU.
//
// Bits: cnt counts the bits of each byte at once, so that 128 bits take eor (eor and and with masks), cnt and add; a
// full adder would not pay. A tile is 4 windows × 4 vectors of 2 channels, 16 vectors of byte counts in registers.
//
// Pixels: smlal adds the products of four pixels and four taps of a channel to four 32-bit lanes, which meet at the
// end: 2 widenings of taps and 4 smlal for 4 channels × 4 taps a window. A tile is 4 windows × 4 channels.

#include <arm_neon.h>

#include "backend.h"
#include "byte-counts.h"
#include "walk.h"

namespace xnord {
namespace {

struct Vector128 {
  using Type = uint64x2_t;
  static constexpr int kLanes = 2;
  static constexpr bool kPairs = false;

  static Type zero() { return vdupq_n_u64(0); }
  static Type load(const uint8_t* from) { return vld1q_u64(reinterpret_cast<const uint64_t*>(from)); }
  static Type broadcast(const uint8_t* from) {
    uint64_t word;
    memcpy(&word, from, 8);
    return vdupq_n_u64(word);
  }
  static Type differ(Type a, Type b) { return veorq_u64(a, b); }
  static Type differ(Type a, Type b, Type mask) { return vandq_u64(veorq_u64(a, b), mask); }
  static Type count(Type bits) { return vreinterpretq_u64_u8(vcntq_u8(vreinterpretq_u8_u64(bits))); }
  static Type addBytes(Type a, Type b) {
    return vreinterpretq_u64_u8(vaddq_u8(vreinterpretq_u8_u64(a), vreinterpretq_u8_u64(b)));
  }
  static Type addWords(Type a, Type b) { return vaddq_u64(a, b); }
  static Type shiftWords(Type a, int by) { return vshlq_u64(a, vdupq_n_s64(by)); }
  static Type sumBytes(Type a) { return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u64(a)))); }
};

struct Neon {
  template <int L>
  struct Bits {
    uint64x2_t groups[L / 2];
  };
  template <int L>
  struct Pixels {
    int32x4_t groups[L / 4];
  };

  template <int P, int L, bool kMasked>
  static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                      const uint8_t* weights) {
    countBlock<Vector128, L, P, 4, 4, kMasked>(sums, step, windows, weights);
  }

  template <int P, int L>
  static void sumPixels(Pixels<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                        const uint8_t* weights) {
    for (int group = 0; group < L / 4; group++) {
      int32x4_t channels[P][4];
      unroll<P>([&](auto p) { unroll<4>([&](auto c) { channels[p][c] = vdupq_n_s32(0); }); });
      const int8_t* taps = reinterpret_cast<const int8_t*>(weights) + 16 * group;
      uint32_t shifts = step.shifts;
      for (uint32_t plane = 0; plane < step.planes; plane++, shifts >>= 4) {
        const int32x4_t shift = vdupq_n_s32(static_cast<int32_t>(shifts & 15));
        unroll<P>([&](auto p) { unroll<4>([&](auto c) { channels[p][c] = vshlq_s32(channels[p][c], shift); }); });
        size_t begin = 0;
        for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
          for (uint32_t i = 0; i < step.run; i++, taps += 4 * L) {
            const int8x16_t four = vld1q_s8(taps);
            const int16x8_t low = vmovl_s8(vget_low_s8(four));
            const int16x8_t high = vmovl_s8(vget_high_s8(four));
            unroll<P>([&](auto p) {
              uint32_t bytes;
              memcpy(&bytes, windows[p] + begin + size_t{4} * i, 4);
              const int16x4_t input =
                  vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)))));
              channels[p][0] = vmlal_s16(channels[p][0], input, vget_low_s16(low));
              channels[p][1] = vmlal_s16(channels[p][1], input, vget_high_s16(low));
              channels[p][2] = vmlal_s16(channels[p][2], input, vget_low_s16(high));
              channels[p][3] = vmlal_s16(channels[p][3], input, vget_high_s16(high));
            });
          }
        }
      }
      unroll<P>([&](auto p) {
        sums[p].groups[group] =
            vpaddq_s32(vpaddq_s32(channels[p][0], channels[p][1]), vpaddq_s32(channels[p][2], channels[p][3]));
      });
    }
  }

  template <int L>
  static uint32_t fires(const Bits<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    for (int g = 0; g < L / 4; g++) {
      bits |= bitsOf(vcleq_s32(distances(sums, g), vld1q_s32(limits + 4 * g))) << 4 * g;
    }
    return bits;
  }

  template <int L>
  static uint32_t fires(const Pixels<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    for (int g = 0; g < L / 4; g++) bits |= bitsOf(vcgeq_s32(sums.groups[g], vld1q_s32(limits + 4 * g))) << 4 * g;
    return bits;
  }

  // No distance has a bit above the 31st.
  template <int L>
  static Bits<L> best(const Bits<L> (&sums)[4]) {
    Bits<L> least = sums[0];
    for (int p = 1; p < 4; p++) {
      for (int g = 0; g < L / 2; g++) {
        least.groups[g] = vreinterpretq_u64_u32(
            vminq_u32(vreinterpretq_u32_u64(least.groups[g]), vreinterpretq_u32_u64(sums[p].groups[g])));
      }
    }
    return least;
  }

  template <int L>
  static Pixels<L> best(const Pixels<L> (&sums)[4]) {
    Pixels<L> most = sums[0];
    for (int p = 1; p < 4; p++) {
      for (int g = 0; g < L / 4; g++) most.groups[g] = vmaxq_s32(most.groups[g], sums[p].groups[g]);
    }
    return most;
  }

  template <int L>
  static void store(const Bits<L>& sums, int32_t* integers) {
    for (int g = 0; g < L / 4; g++) vst1q_s32(integers + 4 * g, distances(sums, g));
  }

  template <int L>
  static void store(const Pixels<L>& sums, int32_t* integers) {
    for (int g = 0; g < L / 4; g++) vst1q_s32(integers + 4 * g, sums.groups[g]);
  }

  static uint32_t reach(const float* values, const float* limits) {
    uint32_t bits = 0;
    for (int g = 0; g < 4; g++)
      bits |= bitsOf(vcgeq_f32(vld1q_f32(values + 4 * g), vld1q_f32(limits + 4 * g))) << 4 * g;
    return bits;
  }

 private:
  template <int L>
  static int32x4_t distances(const Bits<L>& sums, int quad) {
    return vreinterpretq_s32_u32(vcombine_u32(vmovn_u64(sums.groups[2 * quad]), vmovn_u64(sums.groups[2 * quad + 1])));
  }

  static uint32_t bitsOf(uint32x4_t lanes) {
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, vld1q_u32(bits)));
  }
};

}  // namespace

void runNeon(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runSteps<Neon>(arena, step, steps, slot, rows);
}

}  // namespace xnord
