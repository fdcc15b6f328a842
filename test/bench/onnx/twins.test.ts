import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tensor } from 'onnxruntime-node'
import { type Test, test } from 'tap'
import { lenet, type Network, perceptron, resnet18, vggSmall } from '../../../bench/networks.ts'
import type { OnnxGraph } from '../../../bench/onnx/encode.ts'
import { floatTwin } from '../../../bench/onnx/float-twin.ts'
import { int8Twin, quantizedValues } from '../../../bench/onnx/int8-twin.ts'
import { calibrate, openSession, randomImage } from '../../../bench/onnx/session.ts'
import { Random } from '../../random-model.ts'

/** Of ONNX Runtime's profile: an event for each kernel that ran. */
interface KernelEvent {
  readonly name: string
  readonly args?: { readonly op_name?: string }
}

interface Run {
  readonly logits: Tensor
  /** How often each kernel ran. */
  readonly kernels: ReadonlyMap<string, number>
}

async function run(t: Test, graph: OnnxGraph, image: Tensor): Promise<Run> {
  const folder = t.testdir()
  const session = await openSession(graph, {
    enableProfiling: true,
    profileFilePrefix: join(folder, 'profile'),
  })
  const { logits } = await session.run({ image })
  session.endProfiling()
  await session.release()
  const [file] = readdirSync(folder)
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as KernelEvent[]
  const kernels = new Map<string, number>()
  for (const { name, args } of events) {
    if (args?.op_name === undefined || !name.endsWith('_kernel_time')) continue
    kernels.set(args.op_name, (kernels.get(args.op_name) ?? 0) + 1)
  }
  return { logits, kernels }
}

async function twins(t: Test, network: Network): Promise<{ readonly float: Run; readonly int8: Run }> {
  const graph = floatTwin(network, 'batch', 1)
  const random = new Random(1)
  const ranges = await calibrate(graph, randomImage(graph, 8, random))
  const image = randomImage(graph, 2, random)
  return { float: await run(t, graph, image), int8: await run(t, int8Twin(graph, ranges), image) }
}

/** Kernels of a name that ends so. */
function count({ kernels }: Run, ending: string): number {
  let sum = 0
  for (const [name, runs] of kernels) if (name.endsWith(ending)) sum += runs
  return sum
}

const cases: readonly {
  readonly network: Network
  readonly convolutions: number
  readonly products: number
  readonly sums: number
}[] = [
  { network: vggSmall, convolutions: 6, products: 1, sums: 0 },
  { network: resnet18, convolutions: 20, products: 1, sums: 16 },
  { network: lenet, convolutions: 2, products: 2, sums: 0 },
  { network: perceptron, convolutions: 0, products: 4, sums: 0 },
]

/** Float kernels that a fused graph has none of, and those that a quantized one has none of. */
const unfused = ['Relu', 'Add']
const unquantized = [...unfused, 'Conv', 'FusedConv', 'Gemm', 'FusedGemm', 'MatMul', 'AveragePool']

for (const { network, convolutions, products, sums } of cases) {
  test(`the twins of ${network.name}`, async t => {
    const { float, int8 } = await twins(t, network)

    t.test('in float32, ReLU and sums are fused into convolutions and products', async t => {
      t.equal(count(float, 'Conv'), convolutions)
      t.equal(count(float, 'Gemm'), products)
      t.same(
        unfused.filter(kernel => float.kernels.has(kernel)),
        [],
      )
      t.same(float.logits.dims, [2, 10])
      t.ok((float.logits.data as Float32Array).every(Number.isFinite))
    })

    t.test('in int8, every kernel computes with integers', async t => {
      t.equal(count(int8, 'QLinearConv'), convolutions)
      t.equal(count(int8, 'QGemm'), products)
      t.equal(count(int8, 'QLinearAdd'), sums)
      t.same(
        unquantized.filter(kernel => int8.kernels.has(kernel)),
        [],
      )
    })

    t.test('int8 answers nearly as float32', async t => {
      const logits = [...(float.logits.data as Float32Array)]
      const largest = Math.max(...logits.map(Math.abs))
      for (const [index, logit] of (int8.logits.data as Float32Array).entries()) {
        t.ok(Math.abs(logit - logits[index]) < 0.1 * largest, `${logit}, not ${logits[index]}`)
      }
    })
  })
}

test('what only a ReLU reads is not quantized by itself', t => {
  const names = quantizedValues(floatTwin(lenet, 1, 1))
  t.same(names, ['conv1.Relu', 'conv1', 'conv2.Relu', 'conv2', 'linear1.Flatten', 'linear1'])
  t.end()
})
