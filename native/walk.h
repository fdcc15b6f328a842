// How every instruction set walks a step: blocks of output channels outside, so that their weights stay in the nearest
// cache; tiles of positions inside, whose sums stay in registers until they are bits or floats.
//
// A file of an instruction set includes this after it has defined its `Set`:
//
//   template <int L> struct Bits    sums of L channels of one position, over bits
//   template <int L> struct Pixels  the same, over pixels
//   sumBits<P, L, kMasked>, sumPixels<P, L>
//                                   the sums of P windows
//   fires                           a bit a channel: whether the sum reaches its limit
//   store                           the sums as L int32
//   reach                           a bit for each of 16 floats: whether it reaches its limit
//
// Everything has internal linkage: were it shared between the files, the linker would keep one copy of an inline
// function, compiled for whichever instruction set came first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "floats.h"
#include "step.h"
#include "unroll.h"

namespace xnord {
namespace {

// Output positions of a batch: rows before lines before pixels.
class Positions {
 public:
  Positions(const Step& step, uint8_t* slot)
      : window_(slot + step.input),
        output_(slot + step.output),
        width_(step.width),
        height_(step.height),
        windowPixel_(ptrdiff_t{step.pool} * step.inputStepX),
        windowLine_(ptrdiff_t{step.pool} * step.inputStepY - step.width * windowPixel_),
        windowRow_(ptrdiff_t{step.inputRow} - ptrdiff_t{step.height} * step.pool * step.inputStepY),
        outputPixel_(step.outputPixel),
        outputLine_(ptrdiff_t{step.outputLine} - step.width * outputPixel_),
        outputRow_(ptrdiff_t{step.outputRow} - ptrdiff_t{step.height} * step.outputLine) {}

  const uint8_t* window() const { return window_; }
  uint8_t* output() const { return output_; }

  void next() {
    window_ += windowPixel_;
    output_ += outputPixel_;
    if (++x_ < width_) return;
    x_ = 0;
    window_ += windowLine_;
    output_ += outputLine_;
    if (++y_ < height_) return;
    y_ = 0;
    window_ += windowRow_;
    output_ += outputRow_;
  }

 private:
  const uint8_t* window_;
  uint8_t* output_;
  uint32_t x_ = 0;
  uint32_t y_ = 0;
  const uint32_t width_;
  const uint32_t height_;
  // What is left to the next pixel, then to the next line, then to the next row: windows that step further than they
  // reach leave less than nothing.
  const ptrdiff_t windowPixel_;
  const ptrdiff_t windowLine_;
  const ptrdiff_t windowRow_;
  const ptrdiff_t outputPixel_;
  const ptrdiff_t outputLine_;
  const ptrdiff_t outputRow_;
};

inline uint32_t positionsOf(const Step& step, uint32_t rows) { return rows * step.height * step.width; }

// What lies around the output's pixels.
inline void fillBorder(const Step& step, uint8_t* slot, uint32_t rows, int byte) {
  if (step.outputBorder == 0) return;
  const size_t side = size_t{step.outputBorder} * step.outputPixel;
  const size_t lines = size_t{step.outputBorder} * step.outputLine;
  const size_t inside = size_t{step.width} * step.outputPixel;
  for (uint32_t row = 0; row < rows; row++) {
    uint8_t* line = slot + step.output + size_t{row} * step.outputRow;
    memset(line - lines - side, byte, lines + side);
    // The border right of a line and that left of the next lie side by side.
    for (uint32_t y = 1; y < step.height; y++, line += step.outputLine) memset(line + inside, byte, 2 * side);
    memset(line + inside, byte, side + lines);
  }
}

// The bits of a block's channels at one position. Those of the last block end with the pixel.
inline void storeBits(uint8_t* to, uint32_t bits, uint32_t bytes) {
  if (bytes == 2) {
    const uint16_t half = static_cast<uint16_t>(bits);
    memcpy(to, &half, 2);
  } else if (bytes == 4) {
    memcpy(to, &bits, 4);
  } else {
    const uint64_t word = bits;
    memcpy(to, &word, 8);
  }
}

// Where the constants of one block of channels are, and where its results go.
struct Block {
  const uint8_t* weights;
  const int32_t* limits;
  const int32_t* totals;
  const float* scales;
  const float* biases;
  // Of a pixel's bytes: where the block's begin, and of bits, how many it writes.
  uint32_t outputByte;
  uint32_t outputBytes;
};

inline Block blockOf(const Step& step, const uint8_t* arena, uint32_t channel, size_t weightBytes) {
  const size_t entry = size_t{4} * channel;
  Block block;
  block.weights = arena + step.weights + weightBytes * channel;
  block.limits = reinterpret_cast<const int32_t*>(arena + step.limits + entry);
  block.totals = reinterpret_cast<const int32_t*>(arena + step.totals + entry);
  block.scales = reinterpret_cast<const float*>(arena + step.scales + entry);
  block.biases = reinterpret_cast<const float*>(arena + step.biases + entry);
  block.outputByte = step.floats ? 4 * channel : channel / 8;
  block.outputBytes = channel + 32 < step.channels ? 4 : step.outputPixel - block.outputByte;
  return block;
}

// Sums over bits are distances d, of which the output's sum is total − 2d; sums over pixels are s, and s − total.
template <class Set, int L, bool kMasked>
struct BitSums {
  using Sums = typename Set::template Bits<L>;
  static constexpr int32_t kFactor = -2;
  static constexpr int32_t kTotalFactor = 1;
  template <int P>
  [[gnu::always_inline]] static void sum(Sums (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                         const uint8_t* weights) {
    Set::template sumBits<P, L, kMasked>(sums, step, windows, weights);
  }
};

template <class Set, int L>
struct PixelSums {
  using Sums = typename Set::template Pixels<L>;
  static constexpr int32_t kFactor = 1;
  static constexpr int32_t kTotalFactor = -1;
  template <int P>
  [[gnu::always_inline]] static void sum(Sums (&sums)[P], const Step& step, const uint8_t* const (&windows)[P],
                                         const uint8_t* weights) {
    Set::template sumPixels<P, L>(sums, step, windows, weights);
  }
};

// The windows of a tile, pooled or not.
constexpr int kTilePositions = 4;

template <class Set, class Kind, int L, int P>
inline void plainTile(const Step& step, const Block& block, Positions& positions) {
  const uint8_t* windows[P];
  uint8_t* outputs[P];
  for (int p = 0; p < P; p++, positions.next()) {
    windows[p] = positions.window();
    outputs[p] = positions.output();
  }
  typename Kind::Sums sums[P];
  Kind::sum(sums, step, windows, block.weights);
  if (!step.floats) {
    unroll<P>([&](auto p) {
      storeBits(outputs[p] + block.outputByte, Set::fires(sums[p], block.limits), block.outputBytes);
    });
    return;
  }
  unroll<P>([&](auto p) {
    alignas(64) int32_t integers[L];
    Set::store(sums[p], integers);
    uint8_t* output = outputs[p] + block.outputByte;
    unroll<L / kFloats>([&](auto v) {
      constexpr int at = kFloats * v;
      const Integers exact =
          Kind::kFactor * load<Integers>(integers + at) + Kind::kTotalFactor * load<Integers>(block.totals + at);
      uint8_t* to = output + 4 * at;
      // Addends lie as the output does.
      const uint8_t* addend = step.addend == 0 ? nullptr : to - step.output + step.addend;
      storeFloats(reinterpret_cast<float*>(to), __builtin_convertvector(exact, Floats), block.scales + at,
                  block.biases + at, reinterpret_cast<const float*>(addend));
    });
  });
}

// A window of windows fires iff one of them does.
template <class Set, class Kind>
inline void pooledTile(const Step& step, const Block& block, Positions& positions) {
  const uint8_t* first = positions.window();
  const uint8_t* windows[kTilePositions] = {first, first + step.inputStepX, first + step.inputStepY,
                                            first + step.inputStepY + step.inputStepX};
  typename Kind::Sums sums[kTilePositions];
  Kind::sum(sums, step, windows, block.weights);
  storeBits(positions.output() + block.outputByte, Set::fires(Set::best(sums), block.limits), block.outputBytes);
  positions.next();
}

template <class Set, class Kind, int L>
void sumBlock(const Step& step, const Block& block, uint8_t* slot, uint32_t rows) {
  Positions positions(step, slot);
  uint32_t left = positionsOf(step, rows);
  if (step.pool == 2) {
    for (; left > 0; left--) pooledTile<Set, Kind>(step, block, positions);
    return;
  }
  for (; left >= kTilePositions; left -= kTilePositions) {
    plainTile<Set, Kind, L, kTilePositions>(step, block, positions);
  }
  for (; left > 0; left--) plainTile<Set, Kind, L, 1>(step, block, positions);
}

template <class Set, template <int> class Kind>
void sumBlocks(const Step& step, uint8_t* arena, uint8_t* slot, uint32_t rows, size_t weightBytes) {
  for (uint32_t channel = 0; channel < step.channels; channel += 32) {
    const Block block = blockOf(step, arena, channel, weightBytes);
    if (step.channels - channel > 16) {
      sumBlock<Set, Kind<32>, 32>(step, block, slot, rows);
    } else {
      sumBlock<Set, Kind<16>, 16>(step, block, slot, rows);
    }
  }
}

template <class Set>
struct Kinds {
  template <int L>
  using Masked = BitSums<Set, L, true>;
  template <int L>
  using Unmasked = BitSums<Set, L, false>;
  template <int L>
  using Pixels = PixelSums<Set, L>;
};

inline void copyImage(const Step& step, uint8_t* slot, uint32_t rows) {
  for (uint32_t row = 0; row < rows; row++) {
    const uint8_t* from = slot + step.input + size_t{row} * step.inputRow;
    uint8_t* to = slot + step.output + size_t{row} * step.outputRow;
    for (uint32_t y = 0; y < step.height; y++, from += step.inputLine, to += step.outputLine) {
      memcpy(to, from, step.inputLine);
    }
  }
}

template <class Set>
void runSteps(uint8_t* arena, uint32_t first, uint32_t steps, uint32_t slotOffset, uint32_t rows) {
  uint8_t* slot = arena + slotOffset;
  for (uint32_t i = 0; i < steps; i++) {
    const Step& step = *reinterpret_cast<const Step*>(arena + first + size_t{i} * kStepBytes);
    const size_t taps = size_t{step.planes} * step.lines * step.run;
    fillBorder(step, slot, rows, step.kind == kImage ? 128 : 0);
    switch (step.kind) {
      case kImage:
        copyImage(step, slot, rows);
        break;
      case kPixels:
        sumBlocks<Set, Kinds<Set>::template Pixels>(step, arena, slot, rows, taps * 4);
        break;
      case kBits:
        if (step.masked) {
          sumBlocks<Set, Kinds<Set>::template Masked>(step, arena, slot, rows, taps * 16);
        } else {
          sumBlocks<Set, Kinds<Set>::template Unmasked>(step, arena, slot, rows, taps * 8);
        }
        break;
      case kLinear:
        linear(step, arena, slot, rows);
        break;
      case kSign:
        sign<Set>(step, arena, slot, rows);
        break;
      case kAveragePool:
        averagePool(step, slot, rows);
        break;
    }
  }
}

}  // namespace
}  // namespace xnord
