/** The self-test as a program, and what it takes to compile it and to run it elsewhere. */

import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  compileNative,
  findCompiler,
  kernelSources,
  splitCommand,
  strictFlags,
} from '../../scripts/native.ts'

/** What tap takes as `skip`: a reason, or false where nothing is missing. */
export type Skip = string | false

export interface Outcome {
  /** Null where a signal ended it. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export const crossCompiler = 'aarch64-linux-gnu-g++'

/** Ends a program at the first thing that C++ does not define, and names the case. */
export const sanitizers = ['-Og', '-g1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
const sanitizerOptions = {
  ASAN_OPTIONS: 'abort_on_error=1',
  UBSAN_OPTIONS: 'abort_on_error=1:print_stacktrace=1',
}

/** Why a test cannot run here. */
export const missing = {
  compiler: missingCompiler(),
  sanitizers: missingCompiler() || missingSanitizers(),
  emulator:
    process.arch === 'x64'
      ? missingCompiler() || missingProgram('qemu-x86_64')
      : 'the CPUs that are emulated are of x86',
  neon: missingProgram(crossCompiler) || missingProgram('qemu-aarch64'),
} satisfies Record<string, Skip>

/** Compiles the self-test for an architecture, with all of its kernels. */
export async function buildSelfTest(
  output: string,
  options: {
    readonly compiler?: string
    readonly architecture?: string
    readonly flags?: readonly string[]
  } = {},
): Promise<string> {
  const { compiler, architecture = process.arch, flags = [] } = options
  const folder = fileURLToPath(new URL('../../native/self-test/', import.meta.url))
  const own = readdirSync(folder).filter(name => name.endsWith('.cpp'))
  await compileNative({
    kind: 'program',
    sources: [...own.map(name => join(folder, name)), ...kernelSources(architecture)],
    output,
    architecture,
    extraFlags: [...strictFlags, ...flags],
    ...(compiler === undefined ? {} : { compiler }),
  })
  return output
}

/** @param command the program, and what runs it before it, if anything does */
export function runSelfTest(command: readonly string[], ...parameters: string[]): Promise<Outcome> {
  const [program, ...first] = command
  const env = { ...process.env, ...sanitizerOptions }
  return new Promise((resolve, reject) => {
    execFile(program, [...first, ...parameters], { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (typeof error?.code === 'string') reject(error)
      else resolve({ status: error ? (error.code ?? null) : 0, stdout, stderr })
    })
  })
}

function missingCompiler(): Skip {
  if (kernelSources().length === 0) return `there are no native kernels for ${process.arch}`
  return findCompiler() === null && 'there is no C++ compiler'
}

export function missingProgram(name: string): Skip {
  return spawnSync(name, ['--version']).status !== 0 && `there is no ${name}`
}

function missingSanitizers(): Skip {
  const folder = mkdtempSync(join(tmpdir(), 'xnord-sanitizers-'))
  try {
    const [program, ...first] = splitCommand(findCompiler()!)
    const parameters = [...first, ...sanitizers, '-x', 'c++', '-', '-o', join(folder, 'program')]
    const { status } = spawnSync(program, parameters, { input: 'int main() {}' })
    return status !== 0 && 'the C++ compiler has no sanitizers'
  } finally {
    rmSync(folder, { recursive: true })
  }
}
