/**
 * Builds into dist/: the service, the client, the page, the wasm kernels, and the native ones where there is a C++
 * compiler. A part whose inputs have not changed since its last build is left alone, so that `npm start` and `npm test`
 * can always call this first. With `--require-native` the build fails where the native kernels cannot be built.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileNative, findCompiler, kernelSources } from './native.ts'

interface Part {
  readonly name: string
  /** Files and folders, relative to the repository, whose change makes the part stale. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** What else makes the part stale when it changes. */
  readonly variant?: string
  /** @returns false where there is nothing that could be built, so that it is tried again the next time */
  readonly build: () => boolean | Promise<boolean>
}

const root = fileURLToPath(new URL('../', import.meta.url))
const resolve = createRequire(import.meta.url).resolve
const common = ['package-lock.json', 'tsconfig.json', 'scripts/build.ts']
const addon = 'dist/kernels.node'
const compilerLog = 'dist/native.log'

const parts: readonly Part[] = [
  {
    name: 'kernels',
    inputs: ['assembly', ...common],
    outputs: ['dist/kernels.wasm'],
    build: () =>
      node('assemblyscript/bin/asc.js', [
        'assembly/index.ts',
        '--config',
        'assembly/asconfig.json',
        '--outFile',
        'dist/kernels.wasm',
      ]),
  },
  {
    name: 'native',
    // The folders in it are tests.
    inputs: [...filesIn('native'), 'scripts/native.ts', ...common],
    outputs: [addon],
    variant: `${process.platform} ${process.arch} ${process.env.CXX ?? ''}`,
    build: buildNative,
  },
  {
    name: 'page',
    inputs: ['src/page', 'src/client', ...common],
    outputs: ['dist/page/index.html', 'dist/page/page/main.js', 'dist/page/client/client.js'],
    build: () => {
      // All that is there is served.
      rmSync(join(root, 'dist/page'), { recursive: true, force: true })
      node('typescript/bin/tsc', ['-p', 'src/page'])
      cpSync(join(root, 'src/page'), join(root, 'dist/page'), {
        recursive: true,
        filter: source => !/\.(ts|json)$/.test(source),
      })
      return true
    },
  },
  {
    name: 'client',
    inputs: ['src/client', ...common],
    outputs: ['dist/client/client.js', 'dist/client/client.d.ts'],
    build: () => node('typescript/bin/tsc', ['-p', 'src/client']),
  },
  {
    name: 'service',
    inputs: ['src', ...common],
    outputs: ['dist/main.js'],
    build: () => node('typescript/bin/tsc', ['-p', 'src']),
  },
]

for (const part of parts) {
  const stampFile = join(root, 'dist', `.${part.name}.stamp`)
  const stamp = fingerprint(part)
  const built = part.outputs.every(output => existsSync(join(root, output)))
  if (built && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) continue
  mkdirSync(join(root, 'dist'), { recursive: true })
  if (await part.build()) writeFileSync(stampFile, stamp)
}

/** Runs a package's command-line program with this Node, its output passed through; ends the build if it fails. */
function node(program: string, parameters: readonly string[]): true {
  try {
    execFileSync(process.execPath, [resolve(program), ...parameters], { cwd: root, stdio: 'inherit' })
    return true
  } catch {
    process.exit(1)
  }
}

/** The addon, or one line that says why there is none: wasm computes the same, only slower. */
async function buildNative(): Promise<boolean> {
  rmSync(join(root, compilerLog), { force: true })
  const kernels = kernelSources()
  const compiler = findCompiler()
  if (kernels.length === 0) return withoutNative(`there are none for ${process.arch}`)
  if (compiler === null) {
    const { CXX } = process.env
    return withoutNative(
      CXX
        ? `CXX is ${JSON.stringify(CXX)}, which does not run`
        : 'a C++ compiler builds them (Debian: apt-get install g++)',
    )
  }
  try {
    const sources = [join(root, 'native/addon.cpp'), ...kernels]
    await compileNative({ kind: 'addon', compiler, sources, output: join(root, addon) })
    return true
  } catch (thrown) {
    const { message } = thrown as Error
    writeFileSync(join(root, compilerLog), message)
    const first = message.split('\n').find(line => line.includes('error')) ?? message.split('\n')[0]
    return withoutNative(`${compiler} refuses them (${compilerLog} has all it says): ${first}`)
  }
}

function withoutNative(reason: string): false {
  // What is left of other sources, or of another machine, must not be taken for this build's.
  rmSync(join(root, addon), { force: true })
  console.error(`Built without native kernels, so that the slower ones in WebAssembly will run: ${reason}`)
  if (process.argv.includes('--require-native')) process.exit(1)
  return false
}

/** Paths, sizes and modification times rather than contents: reading every source would take longer than it saves. */
function fingerprint({ inputs, variant = '' }: Part): string {
  const hash = createHash('sha256').update(variant)
  for (const input of inputs.flatMap(files).sort()) {
    const { mtimeMs, size } = statSync(join(root, input))
    hash.update(`${input} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex')
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => `${folder}/${name}`)
}

function files(path: string): readonly string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path]
  return readdirSync(join(root, path)).flatMap(name => files(join(path, name)))
}
