import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const cache = fileURLToPath(new URL('../../node_modules/.cache/xnord-clients/', import.meta.url))
const systemPython = process.env.PYTHON ?? 'python3'

/** Something that Python's packages brought, or why it is not there. */
export type Installed =
  | { readonly path: string; readonly skip: false }
  | { readonly path: null; readonly skip: string }

/** The interpreter of a virtual environment with the packages of a requirements file; made once, and kept. */
export function pythonWith(requirements: string): Installed {
  const file = fileURLToPath(new URL(requirements, import.meta.url))
  return installed(requirements, readFileSync(file, 'utf8'), folder => {
    const python = join(folder, 'bin/python')
    const made = run(systemPython, ['-m', 'venv', folder])
    return { path: python, failure: made ?? pip(python, ['--requirement', file]) }
  })
}

/** A folder of packages, one `name==version` each, that no interpreter imports; made once, and kept. */
export function packagesIn(name: string, packages: readonly string[]): Installed {
  return installed(name, packages.join('\n'), folder => ({
    path: folder,
    failure: pip(systemPython, ['--target', folder, ...packages]),
  }))
}

/** Runs a program beside the test's own server, to its end. */
export function runBeside(
  program: string,
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly status: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { env: { ...process.env, ...environment } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    child.once('error', reject)
    child.once('close', status => resolve({ status, output }))
  })
}

function installed(
  name: string,
  wanted: string,
  install: (folder: string) => { readonly path: string; readonly failure: string | null },
): Installed {
  const version = spawnSync(systemPython, ['--version'], { encoding: 'utf8' })
  if (version.status !== 0) return { path: null, skip: `there is no ${systemPython} (set PYTHON to another)` }
  const key = createHash('sha256').update(`${version.stdout}${wanted}`).digest('hex').slice(0, 16)
  const folder = join(cache, `${name.replace(/\W/g, '-')}-${key}`)
  // Written last: a folder without it is half of one.
  const stamp = join(folder, 'installed')
  if (existsSync(stamp)) return { path: readFileSync(stamp, 'utf8'), skip: false }
  mkdirSync(cache, { recursive: true })
  const { path, failure } = install(folder)
  if (failure !== null) return { path: null, skip: `${name} could not be installed: ${failure}` }
  writeFileSync(stamp, path)
  return { path, skip: false }
}

function pip(python: string, parameters: readonly string[]): string | null {
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:']
  return run(python, ['-m', 'pip', 'install', ...options, ...parameters])
}

/** Null where it succeeded, else the last line of what it said. */
function run(program: string, parameters: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(program, parameters, { encoding: 'utf8', timeout: 240_000 })
  if (status === 0) return null
  return error?.message ?? stderr.trim().split('\n').at(-1)!
}
