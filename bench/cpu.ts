/** What a reader must know of the machine to judge a figure. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { findCompiler, splitCommand } from '../scripts/native.ts'

export interface Cpu {
  readonly model: string
  /** Vendor, family and model number, where the system tells; names alone often do not say which core it is. */
  readonly identity: string | null
  /** Those of `telling` that this CPU has. */
  readonly flags: readonly string[]
  readonly isZen5: boolean
  /** Tiles of int8: on such a machine int8 networks run on another unit than xnord's. */
  readonly hasAmx: boolean
}

/** As Linux names them: x86, then ARM. */
const telling = [
  'popcnt',
  'avx2',
  'avx512f',
  'avx512bw',
  'avx512_vnni',
  'avx512_vpopcntdq',
  'avx_vnni',
  'amx_int8',
  'asimd',
  'asimddp',
  'i8mm',
  'sve',
]

export function readCpu(): Cpu {
  const facts = process.platform === 'linux' ? firstProcessor() : new Map<string, string>()
  const flags = (facts.get('flags') ?? facts.get('Features') ?? '').split(' ')
  const vendor = facts.get('vendor_id')
  const family = facts.get('cpu family')
  return {
    model: cpus()[0]?.model ?? 'unknown',
    identity: vendor === undefined ? null : `${vendor}, family ${family}, model ${facts.get('model')}`,
    flags: telling.filter(flag => flags.includes(flag)),
    isZen5: vendor === 'AuthenticAMD' && family === '26',
    hasAmx: flags.includes('amx_int8'),
  }
}

function firstProcessor(): ReadonlyMap<string, string> {
  const [first] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n')
  return new Map(
    first.split('\n').map((line): [string, string] => {
      const [key, value = ''] = line.split(/\s*: /)
      return [key.trim(), value]
    }),
  )
}

/** Of all that the figures depend on. */
export function versions(): string {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as {
    readonly version: string
  }
  return `Node.js ${process.version} · onnxruntime-node ${version} · C++ compiler: ${compilerVersion()}`
}

function compilerVersion(): string {
  const compiler = findCompiler()
  if (compiler === null) return 'none'
  const [program, ...parameters] = splitCommand(compiler)
  return execFileSync(program, [...parameters, '--version'], { encoding: 'utf8' }).split('\n')[0]
}
