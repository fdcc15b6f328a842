/**
 * Times the forward pass of a served model against its float baseline, from JavaScript, call costs included, on one
 * thread: `npm run bench:forward`. The contestants take turns within each round, so that a machine whose speed drifts
 * slows all of them, and what counts is the ratio within a round. Writes docs/benchmarks.md.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { openBaseline } from '../src/baseline/baseline.ts'
import { parseModel } from '../src/engine/format.ts'
import { wasmKernels } from '../src/engine/kernels/wasm.ts'
import { Network, verifyNetwork } from '../src/engine/network.ts'
import { fillArena, planModel } from '../src/engine/plan.ts'

interface Contestant {
  readonly name: string
  readonly rows: number
  readonly run: () => unknown
}

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/mnist/1' },
    rounds: { type: 'string', default: '200' },
    out: { type: 'string', default: 'docs/benchmarks.md' },
  },
})
const rounds = Number(options.rounds)
const warmUpRounds = 50
const batch = 16

const file = readFileSync(`${options.model}/model.safetensors`)
const onnx = readFileSync(`${options.model}/baseline.onnx`)
const model = parseModel(file)
const plan = planModel(model, { slots: 1 })
const pages = Math.ceil(plan.arenaBytes / 65_536)
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
fillArena(model, plan, memory.buffer)
const kernels = wasmKernels(new WebAssembly.Module(readFileSync('dist/kernels.wasm')), memory)
const slot = new Network(plan, memory.buffer, kernels).slot(0)
verifyNetwork(slot, model.check)
const baseline = await openBaseline(onnx, { input: model.input, classes: plan.classes })

const images = new Uint8Array(batch * plan.rowBytes)
for (let row = 0; row < batch; row++) {
  const from = (row % model.check.rows) * plan.rowBytes
  images.set(model.check.image.subarray(from, from + plan.rowBytes), row * plan.rowBytes)
}

const contestants: readonly Contestant[] = [1, batch].flatMap(rows => [
  { name: 'float32, ONNX Runtime', rows, run: () => baseline.classify(images, rows, 1) },
  { name: '1 member, wasm', rows, run: () => slot.classify(images, rows, 1) },
  {
    name: `${plan.members} members, wasm`,
    rows,
    run: () => slot.classify(images, rows, plan.members),
  },
])
const times = contestants.map(() => new Float64Array(rounds))
// A batch would push the weights of a single row's contestants out of the caches, so each size has rounds of its own.
for (const size of [1, batch]) {
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const [index, { rows, run }] of contestants.entries()) {
      if (rows !== size) continue
      const start = performance.now()
      await run()
      if (round >= 0) times[index][round] = (performance.now() - start) * 1000
    }
  }
}
await baseline.close()

const rows = contestants.map(({ name, rows }, index) => {
  const float = times[contestants.findIndex(other => other.rows === rows)]
  const perRow = times[index].map(time => time / rows)
  const ratios = times[index].map((time, round) => float[round] / time)
  return `| ${rows} | ${name} | ${spread(perRow)} | ${spread(ratios, 2)} |`
})
const command = `npm run bench:forward -- --model ${options.model} --rounds ${rounds}`
const page = `# Benchmarks

Written by \`${command}\` on ${new Date().toISOString().slice(0, 10)}.

${cpus()[0].model}, 1 thread · Node ${process.version} · onnxruntime-node ${version('onnxruntime-node')} ·
model ${model.name}, digest ${model.digest.slice(0, 12)} · n = ${rounds} rounds a size after ${warmUpRounds} to warm up, the
contestants of a size in turn within each · median (quartiles) · from JavaScript, call costs included

| rows a call | network | µs a row | times as fast as float32 |
|---:|---|---:|---:|
${rows.join('\n')}

| | bytes |
|---|---:|
| weights of one member, packed in memory, with thresholds | ${Math.round(plan.parameterBytes / plan.members)} |
| model file, ${plan.members} members and check vectors | ${file.length} |
| float32 baseline file | ${onnx.length} |

One row by one member costs ${plan.wordOperations} operations on words of 64 bits.
`
writeFileSync(options.out, page)
console.log(page)

function spread(values: Float64Array, digits = 0): string {
  const sorted = values.toSorted()
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))].toFixed(digits)
  return `${at(0.5)} (${at(0.25)}–${at(0.75)})`
}

function version(name: string): string {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as {
    version: string
  }
  return version
}
