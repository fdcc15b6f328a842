/** ONNX Runtime on one thread of the CPU, with all of its optimizations. */

import { InferenceSession, Tensor } from 'onnxruntime-node'
import { IMAGE } from '../../src/engine/graph.ts'
import type { Random } from '../../test/random-model.ts'
import { encodeOnnx, type OnnxGraph } from './encode.ts'
import { quantizedValues } from './int8-twin.ts'

export function openSession(
  graph: OnnxGraph,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  return InferenceSession.create(encodeOnnx(graph), {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    ...options,
  })
}

/** Bytes less 128, float32 [rows, channels, height, width] as the graph's image has them. */
export function randomImage(graph: OnnxGraph, rows: number, random: Random): Tensor {
  const [, ...axes] = graph.inputs[0].shape as number[]
  const elements = axes.reduce((product, axis) => product * axis, rows)
  return new Tensor(
    'float32',
    Float32Array.from(random.bytes(elements), byte => byte - 128),
    [rows, ...axes],
  )
}

/** The largest magnitude of each activation that an int8 twin quantizes. */
export async function calibrate(graph: OnnxGraph, image: Tensor): Promise<ReadonlyMap<string, number>> {
  const outputs = quantizedValues(graph).map(name => ({ name }))
  const session = await openSession({ ...graph, outputs })
  const values = await session.run({ [IMAGE]: image })
  await session.release()
  const ranges = Object.entries(values).map(([name, { data }]): [string, number] => [
    name,
    (data as Float32Array).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
  ])
  return new Map(ranges)
}
