/**
 * Runs the tests of the training package in its own virtual environment, training/.venv, which it makes first. The
 * environment sees the system's packages, so that a PyTorch already installed is used instead of downloaded.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const training = fileURLToPath(new URL('../training/', import.meta.url))
const environment = join(training, '.venv')
const scripts = join(environment, process.platform === 'win32' ? 'Scripts' : 'bin')
const python = process.env.PYTHON ?? 'python3'

const oldest = 'import sys; sys.exit(sys.version_info < (3, 11))'
if (spawnSync(python, ['-c', oldest]).status !== 0) {
  console.log(
    `Skipped the tests of training/: there is no Python 3.11 or newer called ${python} (set PYTHON to another)`,
  )
  process.exit(0)
}

if (!existsSync(environment)) run(python, ['-m', 'venv', '--system-site-packages', environment])
const stampFile = join(environment, 'installed-pyproject.toml')
const wanted = readFileSync(join(training, 'pyproject.toml'), 'utf8')
if (!existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== wanted) {
  console.log(
    'Installing what training/ needs into training/.venv (PyTorch is large: this can take minutes) …',
  )
  run(join(scripts, 'python'), ['-m', 'pip', 'install', '--quiet', '--editable', '.[test]'])
  writeFileSync(stampFile, wanted)
}
run(join(scripts, 'python'), ['-m', 'ruff', 'check', '.'])
run(join(scripts, 'python'), ['-m', 'ruff', 'format', '--check', '.'])
run(join(scripts, 'python'), ['-m', 'pytest', ...process.argv.slice(2)])

/** Runs a program in training/ with its output passed through; ends the tests if it fails. */
function run(program: string, parameters: readonly string[]): void {
  const { status, error } = spawnSync(program, parameters, { cwd: training, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}
