/** Compiles the C++ of native/ with whatever compiler the system has: for the build, for tests, and for the benchmark. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface NativeBuild {
  /** An addon is a library that Node loads; a program runs by itself. */
  readonly kind: 'addon' | 'program'
  /** Paths of C++ files. */
  readonly sources: readonly string[]
  /** Path of the result, which appears whole or not at all. */
  readonly output: string
  /** Such as `g++`, `ccache clang++` or the name of a cross compiler; the system's where it is left out. */
  readonly compiler?: string
  /** As in `process.arch`: what the compiler compiles for. */
  readonly architecture?: string
  /** For the compiler and the linker, such as `-fsanitize=address`; they come last. */
  readonly extraFlags?: readonly string[]
}

const native = fileURLToPath(new URL('../native/', import.meta.url))
const targets = JSON.parse(readFileSync(join(native, 'targets.json'), 'utf8')) as Readonly<
  Record<string, Readonly<Record<string, readonly string[]>>>
>

const commonFlags = [
  '-std=c++17',
  '-O3',
  '-fPIC',
  // A fused multiplication and addition rounds once where the format's arithmetic rounds twice.
  '-ffp-contract=off',
  // The bytes of the arena are now floats, now words, now pixels.
  '-fno-strict-aliasing',
  '-fno-exceptions',
  '-fno-rtti',
  '-fvisibility=hidden',
]

/** Too much for compilers that nobody here has met; tests turn it on. */
export const strictFlags: readonly string[] = [
  '-Wall',
  '-Wextra',
  '-Werror',
  // GCC 12 says both of its own intrinsics (GCC bug 105593). Clang knows but the first.
  '-Wno-uninitialized',
  '-Wno-maybe-uninitialized',
  '-Wno-unknown-warning-option',
]

/** The kernels of an architecture and what chooses among them; empty where there are none for it. */
export function kernelSources(architecture: string = process.arch): readonly string[] {
  const files = Object.keys(targets[architecture] ?? {})
  return files.length === 0 ? [] : ['backends.cpp', ...files].map(file => join(native, file))
}

/** The command of the C++ compiler: $CXX where it is set, else the first that works; null where none does. */
export function findCompiler(): string | null {
  const { CXX } = process.env
  const candidates = CXX ? [CXX] : ['c++', 'g++', 'clang++']
  return candidates.find(isCompiler) ?? null
}

function isCompiler(command: string): boolean {
  const [program, ...parameters] = splitCommand(command)
  return spawnSync(program, [...parameters, '--version'], { stdio: 'ignore' }).status === 0
}

/**
 * Compiles the sources at the same time, each with the flags that native/targets.json has for it, and links them.
 *
 * @throws Error where there is no compiler, and with its words where it refuses a file
 */
export async function compileNative(build: NativeBuild): Promise<void> {
  const { kind, sources, output, architecture = process.arch, extraFlags = [] } = build
  const compiler = build.compiler ?? findCompiler()
  if (compiler === null) throw new Error('there is no C++ compiler')
  const folder = mkdtempSync(join(tmpdir(), 'xnord-native-'))
  // A process that has the old file open keeps it: the new one takes its name, not its place on the disk.
  const linked = `${output}.${process.pid}`
  try {
    const objects = sources.map((source, index) => join(folder, `${index}-${basename(source)}.o`))
    const include = kind === 'addon' ? [`-I${nodeApiHeaders()}`] : []
    const compilations = sources.map((source, index) => {
      const flags = [...commonFlags, ...(targets[architecture]?.[relative(native, source)] ?? [])]
      return execute(compiler, [...flags, ...include, ...extraFlags, '-c', source, '-o', objects[index]!])
    })
    // All are to have ended before the folder goes.
    for (const result of await Promise.allSettled(compilations)) {
      if (result.status === 'rejected') throw result.reason
    }
    await execute(compiler, [
      ...objects,
      ...(kind === 'addon' ? libraryFlags() : []),
      ...extraFlags,
      '-o',
      linked,
    ])
    renameSync(linked, output)
  } finally {
    rmSync(folder, { recursive: true })
    rmSync(linked, { force: true })
  }
}

/** Node's own functions are found when it loads the library. */
function libraryFlags(): readonly string[] {
  return process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']
}

function nodeApiHeaders(): string {
  const require = createRequire(import.meta.url)
  return (require('node-api-headers') as { readonly include_dir: string }).include_dir
}

async function execute(command: string, parameters: readonly string[]): Promise<void> {
  const [program, ...first] = splitCommand(command)
  try {
    await promisify(execFile)(program, [...first, ...parameters], { maxBuffer: 2 ** 26 })
  } catch (thrown) {
    const { stderr, message } = thrown as Error & { stderr?: string }
    throw new Error(stderr || message)
  }
}

/** A compiler's command, such as `ccache g++`, as the program and its first parameters: as in make, spaces part them. */
export function splitCommand(command: string): readonly [program: string, ...parameters: string[]] {
  return command.trim().split(/\s+/) as [string, ...string[]]
}
