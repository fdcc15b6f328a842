/**
 * The table that describes one fused step to a kernel: 32-bit little-endian integers, field after field.
 *
 * "Offset" counts bytes from the start of the slot, "address" bytes from the start of the arena. Values lie as
 * [row][line][pixel][channel], with strides in bytes, so that a border of padding is nothing special to a reader:
 *
 * ```
 * pixels   bytes p, channels end to end; border 128, which is x = 0
 * bits     2 bytes a pixel for up to 16 channels, 4 for up to 32, else ⌈channels / 64⌉ words of 64 bits; channel 0 in
 *          bit 0 of byte 0; unused bits and border 0, that is −1
 * floats   float32, channels padded with +0 to a multiple of 16; no border
 * ```
 *
 * Output channels come in blocks of 32, the last one of 16 where no more than 16 are left: `blockLanes`. Weights lie
 * interleaved by the L channels of a block, so that one load gives several channels the same taps:
 *
 * ```
 * bits     [block][plane][line][64-bit word of the run][sign, then mask where masked][L] words; signs 0 where masks are
 * pixels   [block][plane][line][group of 4 bytes of the run][L][4] int8
 * floats   [block][float of the run][L] float32
 * ```
 *
 * What kernels may rely on: the arena and, in it, slots, tables of limits, totals, scales and biases, and weights of a
 * block begin at multiples of 64 bytes, and so does each L-fold group of weights, of 64 bytes or a multiple. A pixel of
 * floats begins at a multiple of 64 bytes, one of bits at a multiple of its 2, 4 or 8 bytes (words are read from there,
 * so mostly unaligned), and one of pixels anywhere. Tables of steps begin at multiples of 128.
 *
 * One kernel position is `lines` runs of `run` elements, `inputLine` bytes apart: the k lines of a convolution's
 * window, or all of a value for `linear`. A run is read in whole words (bits) or groups of four bytes (pixels), so up
 * to 7 bytes beyond its end, which every value has room for; what lies there meets masks or weights of 0.
 *
 * Planes come by falling significance: a sum is Σ over planes of (sum so far << shift of the plane) + the plane's.
 */
export const stepFields = [
  /** What the step does, see `stepKinds`. */
  'kind',
  /** 1, or 2: the or of 2 × 2 windows, for bits only. */
  'pool',
  /** Of the output. 0: bits, 1: floats. */
  'floats',
  /** 1 where weights of bits have a mask: ternary, shift, or runs that end within a word. */
  'masked',
  /** 1..8 planes of weights. */
  'planes',
  /** Bits 4i..4i + 3: how far the sum is shifted left before plane i is added; 0 for the first. */
  'shifts',

  /** Offset of the top left element that the first window reads, border included. */
  'input',
  /** Bytes from a row, a line, a window, a line of windows to the next; windows as they were before the pool. */
  'inputRow',
  'inputLine',
  'inputStepX',
  'inputStepY',
  /** Of a window; a run counts 64-bit words of bits, groups of 4 bytes of pixels, single floats or pixels of floats. */
  'lines',
  'run',

  /** Offset of the first output pixel, border excluded, and bytes to the next row, line and pixel. */
  'output',
  'outputRow',
  'outputLine',
  'outputPixel',
  /** Pixels of border around the output, which the step fills: values share memory, so that nothing stays. */
  'outputBorder',
  /** Of the output, after the pool. */
  'height',
  'width',
  'channels',

  /** Offset of floats that are added, 0 for none: of the output's shape, so with its strides. */
  'addend',

  /** Address of the repacked weights. */
  'weights',
  /**
   * Address of a table for outputs that are bits, padded to a multiple of 16 so that what lies beyond never fires.
   * Of bits int32: the distance d = Σ popcount((a ⊕ sign) ∧ mask) fires iff d ≤ limit (beyond: −1).
   * Of pixels int32: s = Σ p · w fires iff s ≥ limit (beyond: 2³¹ − 1). Of sign float32: v ≥ limit (beyond: +∞).
   */
  'limits',
  /**
   * Address of int32 for outputs that are floats, padded with 0: the sum that the format means is total − 2d of bits,
   * and s − total of pixels.
   */
  'totals',
  /** Addresses of float32, padded with 0: fround(fround(sum · scale) + bias), then fround(that + addend). */
  'scales',
  'biases',
] as const

export type StepField = (typeof stepFields)[number]

export type Step = Readonly<Record<StepField, number>>

/**
 * ```
 * image         copies rows of pixels into a value with a border; `inputLine` bytes a line
 * pixels, bits  sums over windows of such values
 * linear        sums of floats, one after the other in the order of the run, from +0; one rounding an addition; always
 *               one line, since floats have no border
 * sign          floats to bits; the input's pixels lie `inputStepX` and its lines `inputStepY` bytes apart
 * averagePool   means of floats over windows of lines × run pixels, in that order from +0; one division at the end;
 *               pixels of a window lie `inputStepX / run` bytes apart
 * ```
 */
export const stepKinds = { image: 0, pixels: 1, bits: 2, linear: 3, sign: 4, averagePool: 5 } as const

/** Bytes of a step's table, rounded up so that no table shares a cache line. */
export const STEP_BYTES = 128

/** Tables and floats are padded to a multiple of so many channels. */
export const CHANNEL_ALIGNMENT = 16

/** Channels of the block that begins with a channel, a multiple of 32. */
export function blockLanes(channels: number, first: number): 16 | 32 {
  return channels - first <= 16 ? 16 : 32
}

/** Writes a step's table at an address of the arena. */
export function writeStep(arena: DataView, address: number, step: Step): void {
  for (const [index, field] of stepFields.entries()) arena.setUint32(address + 4 * index, step[field], true)
}
