/**
 * Times the kernels of every backend that this machine has against ONNX Runtime and against the machine's own bound, on
 * one thread, and writes the page and the plot:
 *
 *     npm run bench:kernels -- --rounds 100
 *
 * A round is a turn of each contestant; what is reported is the median over rounds with its quartiles, and for a ratio
 * the median of the ratios within rounds.
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Model } from '../src/engine/format.ts'
import { backends as known } from '../src/engine/kernels/kernels.ts'
import { XnordError } from '../src/errors.ts'
import { type LoadedBackend, loadBackend } from '../src/serving/backend.ts'
import { completeModel } from './arena.ts'
import { type Bench, seed, type Weights } from './bench.ts'
import { readCpu, versions } from './cpu.ts'
import { type Network, networks, randomWeights, withWeights } from './networks.ts'
import { writePart } from './page.ts'
import { PeakMeter } from './peak.ts'
import { plotBars } from './plot.ts'
import { measureCalls } from './sections/calls.ts'
import { barsOf, forwardSection, measureForward } from './sections/forward.ts'
import { layersSection, measureLayers } from './sections/layers.ts'
import { memorySection } from './sections/memory.ts'
import { measureParity } from './sections/parity.ts'
import { measureServed } from './sections/served.ts'
import { measureTernary, ternarySection } from './sections/ternary.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

const defaults = {
  rounds: '100',
  networks: networks.map(({ name }) => name).join(),
  backends: known.join(),
  model: 'models/mnist/2',
}
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: defaults.rounds },
    networks: { type: 'string', default: defaults.networks },
    backends: { type: 'string', default: defaults.backends },
    model: { type: 'string', default: defaults.model },
    out: { type: 'string', default: join(root, 'docs') },
  },
})

/** Wasm is compiled anew while it runs hot, which takes rounds. */
const warmUpRounds = Math.ceil(Number(options.rounds) / 5)
const rounds = { rounds: Number(options.rounds), warmUpRounds }
if (!(Number.isInteger(rounds.rounds) && rounds.rounds > 0))
  throw new Error('--rounds takes a number of rounds')
const names = options.networks.split(',')
const unknown = names.filter(name => networks.every(network => network.name !== name))
if (unknown.length > 0) throw new Error(`--networks: there is no ${unknown.join()}`)

const backends = await present(options.backends.split(','))
const peak = await PeakMeter.open(backends.map(({ name }) => name))
process.on('exit', () => peak.close())
const cpu = readCpu()
const bench: Bench = {
  cpu,
  backends,
  networks: networks.filter(({ name }) => names.includes(name)),
  rounds,
  peak,
  model: models(backends[0]),
}
const start = { milliseconds: performance.now(), interruptions: interruptions() }
await peak.measure()
const contests = await measureForward(bench)
const ternary = await measureTernary(bench)
const layers = await measureLayers(bench)
const parity = await measureParity(bench)
const calls = await measureCalls(bench)
const served = await measureServed(bench, resolve(root, options.model))
await peak.measure()
const interruptionsPerSecond =
  (1000 * (interruptions() - start.interruptions)) / (performance.now() - start.milliseconds)

const caption = `Times as fast as float32 in ONNX Runtime, one thread, median of ${rounds.rounds} rounds`
writeFileSync(join(options.out, 'benchmarks.svg'), plotBars(contests.map(barsOf), { caption }))
const part = [
  introduction(),
  '![Times as fast as float32 in ONNX Runtime](benchmarks.svg)',
  forwardSection(contests, cpu),
  ternarySection(ternary),
  layersSection(layers, peak),
  ...(parity === null ? [] : [parity]),
  memorySection(bench),
  calls,
  served,
].join('\n\n')
writePart(join(options.out, 'benchmarks.md'), 'kernels', part)
console.log(part)

function introduction(): string {
  const { model, identity, flags } = cpu
  return `## Kernels

Written by \`${command()}\` on ${new Date().toISOString().slice(0, 10)}.

${model}${identity === null ? '' : ` (${identity})`}, with ${flags.join(', ')} · ${versions()} · backends here, fastest
first: ${backends.map(labelOf).join(', ')}

One thread each. n = ${rounds.rounds} rounds after ${warmUpRounds} to warm up; in a round each contestant of a table has a turn, which begins with
a call that is not timed and lasts at least 50 µs. Figures are medians with quartiles in brackets, ratios medians of
the ratios within rounds. ONNX Runtime: CPU provider, one thread within and between operations, sequential, all graph
optimizations. The networks have random weights, the same from run to run; before they are timed, every backend has given
the same bits in every layer, and the same logits. This process's threads were preempted ${interruptionsPerSecond.toFixed(1)} times a second.`
}

/** As whoever wants to repeat it types it; where the page goes does not matter. */
function command(): string {
  const given = (Object.keys(defaults) as (keyof typeof defaults)[])
    .filter(name => options[name] !== defaults[name])
    .map(name => ` --${name} ${options[name]}`)
  return `npm run bench:kernels${given.length > 0 ? ` --${given.join('')}` : ''}`
}

function labelOf(backend: LoadedBackend): string {
  return backend.name === 'wasm' ? `\`wasm\` (the ${backend.variant} variant)` : `\`${backend.name}\``
}

function interruptions(): number {
  return process.resourceUsage().involuntaryContextSwitches
}

/** Those that this machine has, fastest first. */
async function present(wanted: readonly string[]): Promise<readonly LoadedBackend[]> {
  const found: LoadedBackend[] = []
  for (const name of known.filter(name => wanted.includes(name))) {
    try {
      found.push((await loadBackend(name)).backend)
    } catch (thrown) {
      if (!(thrown instanceof XnordError && thrown.code === 'CONFIGURATION_INVALID')) throw thrown
    }
  }
  if (found.length === 0) throw new Error(`None of ${wanted.join()} is there: npm run build makes them.`)
  return found
}

/** @param backend by which the models' check vectors are computed */
function models(backend: LoadedBackend): (network: Network, weights: Weights) => Model {
  const made = new Map<string, Model>()
  return (network, weights) => {
    const key = `${network.name}, ${weights}`
    const model = made.get(key) ?? completeModel(randomWeights(withWeights(network, weights), seed), backend)
    made.set(key, model)
    return model
  }
}
