import * as Step from './step'

// What becomes of sums, four channels in lanes.

/** The four float32 of a pixel that begin `at` bytes into it: fround(fround(sum · scale) + bias), then + addend. */
// @ts-ignore: decorator
@inline
export function storeFloats(step: usize, pixel: usize, at: usize, sums: v128): void {
  let values = f32x4.mul(sums, v128.load(Step.scales(step) + at))
  values = f32x4.add(values, v128.load(Step.biases(step) + at))
  const addend = Step.addend(step)
  // The addend has the strides of the output, so that what lies between their pixels is the same everywhere.
  if (addend != 0) values = f32x4.add(values, v128.load(pixel + (addend - Step.output(step)) + at))
  v128.store(pixel + at, values)
}
