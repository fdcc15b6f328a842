/**
 * The table that describes one fused step to a kernel: 32-bit little-endian integers, field after field.
 *
 * "Offset" counts bytes from the start of the slot, "address" bytes from the start of the arena. Values lie as
 * [row][line][pixel][channel], with strides in bytes, so that a border of padding is nothing special to a kernel:
 *
 * ```
 * pixels   int16 p − 128, channels end to end; border 0
 * bits     64-bit words, ⌈channels / 64⌉ a pixel, channel 0 in bit 0 of word 0; unused bits and border 0, that is −1
 * floats   float32, channels padded to a multiple of 8
 * ```
 *
 * One kernel position is `lines` runs of `run` elements, `inputLine` bytes apart: the k lines of a convolution's
 * window, or all of a value for `linear`.
 */
export const stepFields = [
  /** What the step does, see `stepKinds`. */
  'kind',
  /** 1 where weights have a mask (ternary). */
  'masked',
  /** 0: bits, 1: floats. */
  'floats',
  /** 1, or 2: the or of 2 × 2 windows, for bits only. */
  'pool',

  /** Offset of the top left element that the first window reads, border included. */
  'input',
  /** Bytes from a row, a line, a window, a line of windows to the next. */
  'inputRow',
  'inputLine',
  'inputStepX',
  'inputStepY',
  /** Of a window; a run counts 64-bit words of bits, or pairs of int16 of pixels. */
  'lines',
  'run',

  /** Offset of the first output pixel, and bytes to the next row, line and pixel. */
  'output',
  'outputRow',
  'outputLine',
  'outputPixel',
  /** Of the output, after the pool. */
  'height',
  'width',
  'channels',

  /** Address of the repacked weights, see `weights.ts`. */
  'weights',
  /** Address of int32 [channels]: for bits. Of pixels the threshold; of bits the largest distance that still fires. */
  'limits',
  /** Address of int32 [channels]: taps that are not masked, for floats of bits. */
  'totals',
  /** Addresses of float32 [channels], for floats. */
  'scales',
  'biases',
] as const

export type StepField = (typeof stepFields)[number]

export type Step = Readonly<Record<StepField, number>>

/** widen: bytes of pixels to int16 with a border. pixels, bits: sums over windows of such values. */
export const stepKinds = { widen: 0, pixels: 1, bits: 2 } as const

/** Bytes of a step's table, rounded up so that no table shares a cache line. */
export const STEP_BYTES = 128

/** The first bytes of a slot are the kernels' own, for sums on their way from registers to the output. */
export const SCRATCH_BYTES = 128

/** Channels that a kernel computes together: the tables of a step are padded to a multiple. */
export const CHANNEL_BLOCK = 8

/** Writes a step's table at an address of the arena. */
export function writeStep(arena: DataView, address: number, step: Step): void {
  for (const [index, field] of stepFields.entries()) arena.setUint32(address + 4 * index, step[field], true)
}
