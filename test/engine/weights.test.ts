import t from 'tap'
import {
  bytesForBits,
  bytesForFloats,
  bytesForPixels,
  largestSum,
  type Planes,
  packForBits,
  packForFloats,
  packForPixels,
  type Window,
  weightSum,
} from '../../src/engine/weights.ts'

// Two channels of six taps, a bit each: + − + − + − and + + + + + +.
const binary: Planes = {
  sign: Uint8Array.of(0b010101, 0b111111),
  mask: null,
  shifts: [0],
  out: 2,
  taps: 6,
}
// + − + − 0 0 and 0 0 0 0 0 +
const ternary: Planes = {
  sign: Uint8Array.of(0b000101, 0b100000),
  mask: Uint8Array.of(0b001111, 0b100000),
  shifts: [0],
  out: 2,
  taps: 6,
}
// +1 −1 0 0 0 0 and 0 0 0 0 0 +1, with +4 in the third tap of both, and −128 in the fourth of the second.
const shift: Planes = {
  sign: Uint8Array.of(0b000001, 0b100000, 0b000100, 0b000100, 0, 0),
  mask: Uint8Array.of(0b000011, 0b100000, 0b000100, 0b000100, 0, 0b001000),
  shifts: [0, 2, 7],
  out: 2,
  taps: 6,
}

/** Two lines of one pixel of three channels. */
const lines: Window = { lines: 2, pixels: 1, channels: 3, pixelBytes: 2 }
/** One line of two such pixels. */
const line: Window = { lines: 1, pixels: 2, channels: 3, pixelBytes: 2 }

function zeros(count: number): number[] {
  return Array<number>(count).fill(0)
}

/** The words of bits that are not 0, by their index. */
function bits(planes: Planes, window: Window): Record<number, bigint> {
  const target = new Uint8Array(bytesForBits(planes, window))
  packForBits(planes, window, target)
  const words = [...new BigUint64Array(target.buffer)].entries()
  return Object.fromEntries([...words].filter(([, word]) => word !== 0n))
}

function pixels(planes: Planes, window: Window): Int8Array {
  const target = new Int8Array(bytesForPixels(planes, window))
  packForPixels(planes, window, target)
  return target
}

t.test('the largest sum and the sum of the weights are those of a channel', async t => {
  t.strictSame([largestSum(binary, 0), largestSum(binary, 1)], [6, 6])
  t.strictSame([weightSum(binary, 0), weightSum(binary, 1)], [0, 6])
  t.strictSame([largestSum(ternary, 0), largestSum(ternary, 1)], [4, 1])
  t.strictSame([weightSum(ternary, 0), weightSum(ternary, 1)], [0, 1])
  t.strictSame([largestSum(shift, 0), largestSum(shift, 1)], [6, 133])
  t.strictSame([weightSum(shift, 0), weightSum(shift, 1)], [4, -123])
})

t.test('bits of a run that ends within a word have a mask, of sixteen lanes, each word its own', async t => {
  t.equal(bytesForBits(binary, line), 8 * 2 * 16)
  // Pixels lie 16 bits apart: signs of the channels 0 and 1, then the masks.
  t.strictSame(bits(binary, line), { 0: 0x2_0005n, 1: 0x7_0007n, 16: 0x7_0007n, 17: 0x7_0007n })
})

t.test('bits of several lines come line after line', async t => {
  t.strictSame(bits(ternary, lines), { 0: 0b101n, 16: 0b111n, 33: 0b100n, 48: 0b001n, 49: 0b100n })
})

t.test('bits of whole words have no mask where no weight is 0', async t => {
  const sign = new Uint8Array(2 * 9)
  sign.set([0xff, 0x80, 0, 0, 0, 0, 0, 1, 1], 9)
  const wide: Planes = { sign, mask: null, shifts: [0], out: 2, taps: 65 }
  const window = { lines: 1, pixels: 1, channels: 65, pixelBytes: 16 }
  t.equal(bytesForBits(wide, window), 8 * 2 * 16)
  t.strictSame(bits(wide, window), { 1: 0x0100_0000_0000_80ffn, 17: 1n })
})

t.test('bits of more than 16 channels come in a block of 32 lanes, the rest in one of 16', async t => {
  const sign = new Uint8Array(33 * 8)
  sign[17 * 8] = 0x17
  sign[32 * 8] = 0x32
  const many: Planes = { sign, mask: null, shifts: [0], out: 33, taps: 64 }
  const window = { lines: 1, pixels: 1, channels: 64, pixelBytes: 8 }
  t.equal(bytesForBits(many, window), 8 * (32 + 16))
  t.strictSame(bits(many, window), { 17: 0x17n, 32: 0x32n })
})

t.test('planes of bits come by falling shift', async t => {
  const expected = {
    // 2^7: the second channel's fourth tap, which is −1, so that only the mask shows it
    17: 0x1_0000n,
    // 2^2: the third tap
    32: 0b100n,
    33: 0b100n,
    48: 0b100n,
    49: 0b100n,
    // 2^0
    64: 0b001n,
    65: 0x4_0000n,
    80: 0b011n,
    81: 0x4_0000n,
  }
  t.strictSame(bits(shift, line), expected)
})

t.test('weights of pixels lie in groups of four bytes of a line, by sixteen lanes', async t => {
  t.equal(bytesForPixels(ternary, lines), 2 * 16 * 4)
  const expected = [1, -1, 1, ...zeros(61), -1, 0, 0, 0, 0, 0, 1, ...zeros(57)]
  t.strictSame([...pixels(ternary, lines)], expected)
  t.equal(bytesForPixels(binary, line), 2 * 16 * 4)
  const [first, second] = [pixels(binary, line).subarray(0, 64), pixels(binary, line).subarray(64)]
  t.strictSame([...first], [1, -1, 1, -1, 1, 1, 1, 1, ...zeros(56)])
  t.strictSame([...second], [1, -1, 0, 0, 1, 1, 0, 0, ...zeros(56)])
})

t.test('planes of pixels are one up to a shift of 6; a shift of 7 comes before them as ±1', async t => {
  t.equal(bytesForPixels(shift, line), 2 * (2 * 16 * 4))
  const packed = [...pixels(shift, line)]
  t.strictSame(packed.slice(0, 64), [0, 0, 0, 0, 0, 0, 0, -1, ...zeros(56)])
  t.strictSame(packed.slice(64, 128), zeros(64))
  t.strictSame(packed.slice(128, 192), [1, -1, 4, 0, 0, 0, 4, 0, ...zeros(56)])
  t.strictSame(packed.slice(192), [0, 0, 0, 0, 0, 1, 0, 0, ...zeros(56)])
})

t.test('weights of floats skip what pads the channels of a pixel', async t => {
  const window = { lines: 1, pixels: 2, channels: 3, pixelBytes: 64 }
  const target = new Float32Array(bytesForFloats(shift, window) / 4)
  packForFloats(shift, window, target)
  const entries = [...target.entries()].filter(([, weight]) => weight !== 0)
  t.strictSame(entries, [
    [0, 1],
    [16, -1],
    [32, 4],
    [33, 4],
    [16 * 16 + 1, -128],
    [18 * 16 + 1, 1],
  ])
})
