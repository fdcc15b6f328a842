// Plain C++, for CPUs that have nothing better, and to compare with.
//
// The tile is P windows × 1 channel, so that a word of weights is loaded once for all windows, in 64-bit registers:
// xor, popcount and add for 64 weights. A block's words of one tap lie L words apart.

#include "backend.h"
#include "walk.h"

namespace xnord {
namespace {

struct Scalar {
  template <int L>
  struct Bits {
    int32_t channels[L];
  };
  template <int L>
  struct Pixels {
    int32_t channels[L];
  };

  template <int P, int L, bool kMasked>
  static void sumBits(Bits<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                      const uint8_t* weights) {
    constexpr size_t kWords = kMasked ? 2 * L : L;
    for (int channel = 0; channel < L; channel++) {
      const uint64_t* words = reinterpret_cast<const uint64_t*>(weights) + channel;
      uint64_t distances[P] = {};
      for (uint32_t plane = 0; plane < step.planes; plane++) {
        const uint32_t shift = step.shifts >> (4 * plane) & 15;
        for (int p = 0; p < P; p++) distances[p] <<= shift;
        size_t begin = 0;
        for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
          for (uint32_t i = 0; i < step.run; i++, words += kWords) {
            for (int p = 0; p < P; p++) {
              uint64_t word;
              memcpy(&word, windows[p] + begin + size_t{8} * i, 8);
              word ^= words[0];
              if (kMasked) word &= words[L];
              distances[p] += static_cast<uint64_t>(__builtin_popcountll(word));
            }
          }
        }
      }
      for (int p = 0; p < P; p++) sums[p].channels[channel] = static_cast<int32_t>(distances[p]);
    }
  }

  template <int P, int L>
  static void sumPixels(Pixels<L> (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                        const uint8_t* weights) {
    for (int p = 0; p < P; p++) {
      for (int channel = 0; channel < L; channel++) sums[p].channels[channel] = 0;
    }
    const int8_t* taps = reinterpret_cast<const int8_t*>(weights);
    for (uint32_t plane = 0; plane < step.planes; plane++) {
      const int32_t factor = 1 << (step.shifts >> (4 * plane) & 15);
      for (int p = 0; p < P; p++) {
        for (int channel = 0; channel < L; channel++) sums[p].channels[channel] *= factor;
      }
      size_t begin = 0;
      for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
        for (uint32_t group = 0; group < step.run; group++, taps += 4 * L) {
          for (int p = 0; p < P; p++) {
            const uint8_t* pixels = windows[p] + begin + size_t{4} * group;
            for (int channel = 0; channel < L; channel++) {
              for (int i = 0; i < 4; i++) sums[p].channels[channel] += pixels[i] * taps[4 * channel + i];
            }
          }
        }
      }
    }
  }

  template <int L>
  static uint32_t fires(const Bits<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    for (int i = 0; i < L; i++) bits |= static_cast<uint32_t>(sums.channels[i] <= limits[i]) << i;
    return bits;
  }

  template <int L>
  static uint32_t fires(const Pixels<L>& sums, const int32_t* limits) {
    uint32_t bits = 0;
    for (int i = 0; i < L; i++) bits |= static_cast<uint32_t>(sums.channels[i] >= limits[i]) << i;
    return bits;
  }

  // The sums that a window of windows fires by.
  template <int L>
  static Bits<L> best(const Bits<L> (&sums)[4]) {
    Bits<L> least = sums[0];
    for (int p = 1; p < 4; p++) {
      for (int i = 0; i < L; i++) {
        if (sums[p].channels[i] < least.channels[i]) least.channels[i] = sums[p].channels[i];
      }
    }
    return least;
  }

  template <int L>
  static Pixels<L> best(const Pixels<L> (&sums)[4]) {
    Pixels<L> most = sums[0];
    for (int p = 1; p < 4; p++) {
      for (int i = 0; i < L; i++) {
        if (sums[p].channels[i] > most.channels[i]) most.channels[i] = sums[p].channels[i];
      }
    }
    return most;
  }

  template <class Sums>
  static void store(const Sums& sums, int32_t* integers) {
    memcpy(integers, sums.channels, sizeof sums.channels);
  }

  static uint32_t reach(const float* values, const float* limits) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i++) bits |= static_cast<uint32_t>(values[i] >= limits[i]) << i;
    return bits;
  }
};

}  // namespace

void runScalar(uint8_t* arena, uint32_t step, uint32_t steps, uint32_t slot, uint32_t rows) {
  runSteps<Scalar>(arena, step, steps, slot, rows);
}

}  // namespace xnord
