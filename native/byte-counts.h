// Sums over bits for instruction sets that count bits byte by byte. Counts stay bytes for as many words as fit and only
// then become one 64-bit lane a channel; a window's weights come from the nearest cache, its sums stay in registers.
//
// A look-up of both nibbles costs six instructions. Where it does, words meet in pairs in a full adder first, so that
// there is one count for two words:
//
//   x = a ⊕ sign (∧ mask) of the first word, y of the second
//   ones, x, y  → ones′ = ones ⊕ x ⊕ y, carry = majority(ones, x, y)
//   distance    = 2 · Σ popcount(carry) + popcount(ones at the end)
//
// `Vector` is what the instruction set gives:
//
//   Type, kLanes                 a vector of so many 64-bit lanes
//   kPairs                       whether the full adder pays
//   zero, load, broadcast        of 64-bit lanes; broadcast reads 8 bytes at any address
//   differ                       a ⊕ b
//   differ with mask             (a ⊕ b) ∧ mask
//   add                          (ones, x, y) → carry; ones becomes the sum
//   count                        bits of each byte
//   addBytes, addWords, shiftWords, sumBytes
//
// Internal linkage, for the reason that walk.h gives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "step.h"
#include "unroll.h"

namespace xnord {
namespace {

// A byte holds this many counts of 8.
constexpr uint32_t kCountsPerByte = 31;

// The distances of P windows to the weights of G vectors of channels, of a block with L.
//
//   weights  the block's, from the first of the channels on
template <class Vector, int L, int P, int G, bool kMasked>
[[gnu::always_inline]] inline void countTile(typename Vector::Type (&distances)[P][G], const Step& step,
                                             const uint8_t* const* windows, const uint8_t* weights) {
  using Type = typename Vector::Type;
  constexpr size_t kMask = size_t{8} * L;
  constexpr size_t kWord = kMasked ? 2 * kMask : kMask;
  constexpr size_t kVector = size_t{8} * Vector::kLanes;
  constexpr int kCounts = Vector::kPairs ? 1 : 0;
  const auto differ = [](Type input, const uint8_t* from) __attribute__((always_inline)) {
    if constexpr (kMasked) {
      return Vector::differ(input, Vector::load(from), Vector::load(from + kMask));
    } else {
      return Vector::differ(input, Vector::load(from));
    }
  };

  unroll<P>([&](auto p) { unroll<G>([&](auto g) { distances[p][g] = Vector::zero(); }); });
  uint32_t shifts = step.shifts;
  for (uint32_t plane = 0; plane < step.planes; plane++, shifts >>= 4) {
    Type ones[P][G], bytes[P][G];
    unroll<P>([&](auto p) {
      unroll<G>([&](auto g) {
        distances[p][g] = Vector::shiftWords(distances[p][g], static_cast<int>(shifts & 15));
        ones[p][g] = bytes[p][g] = Vector::zero();
      });
    });
    uint32_t room = kCountsPerByte;
    const auto flush = [&]() __attribute__((always_inline)) {
      unroll<P>([&](auto p) {
        unroll<G>([&](auto g) {
          const Type words = Vector::shiftWords(Vector::sumBytes(bytes[p][g]), kCounts);
          distances[p][g] = Vector::addWords(distances[p][g], words);
          bytes[p][g] = Vector::zero();
        });
      });
      room = kCountsPerByte;
    };

    size_t begin = 0;
    for (uint32_t line = 0; line < step.lines; line++, begin += step.inputLine) {
      const size_t end = begin + size_t{8} * step.run;
      size_t at = begin;
      if constexpr (Vector::kPairs) {
        for (; at + 16 <= end; at += 16, weights += 2 * kWord) {
          unroll<P>([&](auto p) {
            const Type first = Vector::broadcast(windows[p] + at);
            const Type second = Vector::broadcast(windows[p] + at + 8);
            unroll<G>([&](auto g) {
              const Type x = differ(first, weights + kVector * g);
              const Type y = differ(second, weights + kWord + kVector * g);
              bytes[p][g] = Vector::addBytes(bytes[p][g], Vector::count(Vector::add(ones[p][g], x, y)));
            });
          });
          if (--room == 0) flush();
        }
      }
      // Without pairs every word, else one that is left of the line.
      for (; at < end; at += 8, weights += kWord) {
        unroll<P>([&](auto p) {
          const Type input = Vector::broadcast(windows[p] + at);
          unroll<G>([&](auto g) {
            Type x = differ(input, weights + kVector * g);
            if constexpr (Vector::kPairs) x = Vector::add(ones[p][g], x, Vector::zero());
            bytes[p][g] = Vector::addBytes(bytes[p][g], Vector::count(x));
          });
        });
        if (--room == 0) flush();
      }
    }
    flush();
    if constexpr (Vector::kPairs) {
      unroll<P>([&](auto p) {
        unroll<G>([&](auto g) {
          const Type words = Vector::sumBytes(Vector::count(ones[p][g]));
          distances[p][g] = Vector::addWords(distances[p][g], words);
        });
      });
    }
  }
}

// The distances of P windows to all channels of a block, tile after tile of R windows × G vectors.
template <class Vector, int L, int P, int R, int G, bool kMasked, class Sums>
inline void countBlock(Sums (&sums)[P], const Step& step, const uint8_t* const (&windows)[P], const uint8_t* weights) {
  constexpr int kVectors = L / Vector::kLanes;
  constexpr int kRows = P < R ? P : R;
  static_assert(P % kRows == 0 && kVectors % G == 0, "tiles must fill the block");
  for (int p = 0; p < P; p += kRows) {
    for (int vector = 0; vector < kVectors; vector += G) {
      typename Vector::Type distances[kRows][G];
      countTile<Vector, L, kRows, G, kMasked>(distances, step, windows + p,
                                              weights + size_t{8} * Vector::kLanes * vector);
      for (int i = 0; i < kRows; i++) {
        for (int g = 0; g < G; g++) sums[p + i].groups[vector + g] = distances[i][g];
      }
    }
  }
}

}  // namespace
}  // namespace xnord
