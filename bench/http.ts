/**
 * Measures the server over HTTP, side by side with others, and writes its part of docs/benchmarks.md. Linux, with
 * `wrk` and two cores: one for the server, one for the load. `--images` names a folder of PNG files, 32 × 32 in colour, as
 * of CIFAR-10, to be classified by VGG-Small; without it they are made up.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { loadBackend } from '../src/serving/backend.ts'
import { readCpu, versions } from './cpu.ts'
import type { HttpBench, Section } from './http/bench.ts'
import { measureConstant } from './http/sections/constant.ts'
import { measureOverload } from './http/sections/overload.ts'
import { measureRivals } from './http/sections/rivals.ts'
import { measureStart } from './http/sections/start.ts'
import { measureVgg } from './http/sections/vgg.ts'
import { writeVggRepository } from './http/vgg-repository.ts'
import { writePart } from './page.ts'
import { plotBars } from './plot.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '16' },
    sections: { type: 'string', default: 'constant,vgg,rivals,overload,start' },
    images: { type: 'string' },
    soak: { type: 'string', default: '0' },
    models: { type: 'string', default: join(root, 'models') },
    out: { type: 'string', default: join(root, 'docs') },
  },
})
if (availableParallelism() < 2) throw new Error('Two cores are needed: one for the server, one for the load.')

const scratch = mkdtempSync(join(tmpdir(), 'xnord-http-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
process.chdir(root)
const bench: HttpBench = {
  backend: (await loadBackend(undefined)).backend,
  models: resolve(options.models),
  digits: 'mnist',
  scratch,
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
  connections: Number(options.connections),
  serverCore: 0,
  loadCore: 1,
}
// This process reads what the servers log: not on their core.
execFileSync('taskset', ['-acp', String(bench.loadCore), String(process.pid)], { stdio: 'ignore' })
const vggModels = join(scratch, 'models')
const sections: Readonly<Record<string, () => Promise<Section>>> = {
  constant: () => measureConstant(bench),
  vgg: () => {
    writeVggRepository(vggModels, bench.backend)
    return measureVgg(bench, vggModels, options.images)
  },
  rivals: () => measureRivals(bench),
  overload: () => measureOverload(bench),
  start: () => measureStart(bench, { soakSeconds: Number(options.soak), out: resolve(options.out) }),
}
const measured: Section[] = []
for (const name of options.sections.split(',')) {
  const measure = sections[name]
  if (measure === undefined) throw new Error(`--sections: there is no ${name}`)
  measured.push(await measure())
}
const groups = measured.flatMap(section => section.groups)
const plot = groups.length > 0 ? '![Requests a second, and latencies](benchmarks-http.svg)' : ''
const part = [introduction(), plot, ...measured.map(({ text }) => text)].filter(Boolean).join('\n\n')
if (groups.length > 0) {
  const caption = 'Over HTTP: xnord beside others on one core, medians'
  writeFileSync(
    join(resolve(options.out), 'benchmarks-http.svg'),
    plotBars(groups, { caption, ownScales: true }),
  )
}
writePart(join(resolve(options.out), 'benchmarks.md'), 'http', part)
console.log(part)
process.exit(0)

function introduction(): string {
  const { model, identity, flags } = readCpu()
  const { rounds, seconds, connections, backend } = bench
  return `## Over HTTP

Written by \`npm run bench:http\` (${process.argv.slice(2).join(' ') || 'no options'}) on ${new Date().toISOString().slice(0, 10)}.

${model}${identity === null ? '' : ` (${identity})`}, with ${flags.join(', ')} · ${versions()} · backend ${backend.name}

Loopback, keep-alive, ${connections} connections by \`wrk\`, which has a core of its own; the server, with one worker and its log
of requests written to a pipe, has the other. Contestants take turns: n = ${rounds} rounds of ${seconds} s each. Figures are medians with
quartiles in brackets, ratios medians of the ratios within rounds; CPU µs is the server's processor time a request.`
}
