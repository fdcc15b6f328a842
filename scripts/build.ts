/**
 * Builds into dist/: the service, the page, the wasm kernels. A part whose inputs have not changed since its last
 * build is left alone, so that `npm start` and `npm test` can always call this first.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Part {
  readonly name: string
  /** Files and folders, relative to the repository, whose change makes the part stale. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly build: () => void
}

const root = fileURLToPath(new URL('../', import.meta.url))
const resolve = createRequire(import.meta.url).resolve
const common = ['package-lock.json', 'tsconfig.json', 'scripts/build.ts']

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
    name: 'page',
    inputs: ['src/page', ...common],
    outputs: ['dist/page/index.html'],
    build: () => {
      node('typescript/bin/tsc', ['-p', 'src/page'])
      cpSync(join(root, 'src/page'), join(root, 'dist/page'), {
        recursive: true,
        filter: source => !/\.(ts|json)$/.test(source),
      })
    },
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
  const stamp = fingerprint(part.inputs)
  const built = part.outputs.every(output => existsSync(join(root, output)))
  if (built && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) continue
  mkdirSync(join(root, 'dist'), { recursive: true })
  part.build()
  writeFileSync(stampFile, stamp)
}

/** Runs a package's command-line program with this Node, its output passed through; ends the build if it fails. */
function node(program: string, parameters: readonly string[]): void {
  try {
    execFileSync(process.execPath, [resolve(program), ...parameters], { cwd: root, stdio: 'inherit' })
  } catch {
    process.exit(1)
  }
}

/** Paths, sizes and modification times rather than contents: reading every source would take longer than it saves. */
function fingerprint(inputs: readonly string[]): string {
  const hash = createHash('sha256')
  for (const input of inputs.flatMap(files).sort()) {
    const { mtimeMs, size } = statSync(join(root, input))
    hash.update(`${input} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex')
}

function files(path: string): readonly string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path]
  return readdirSync(join(root, path)).flatMap(name => files(join(path, name)))
}
