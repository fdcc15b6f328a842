/** Python servers to compare with, each in a virtual environment that is made once. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Launch } from './process.ts'

const environments = fileURLToPath(new URL('../../node_modules/.cache/xnord-rivals/', import.meta.url))
const sources = fileURLToPath(new URL('rivals/', import.meta.url))

const packages = {
  mlserver: ['mlserver==1.7.1', 'onnxruntime==1.32.0'],
  litserve: ['litserve==0.2.19', 'onnxruntime==1.32.0', 'pillow', 'python-multipart'],
} as const

export type Rival = keyof typeof packages

/** What was installed. */
export const rivalPackages: Readonly<Record<Rival, readonly string[]>> = packages

/** @returns the folder of its programs; null, said aloud, where Python or a package cannot be had */
export function installRival(rival: Rival): string | null {
  const environment = join(environments, rival)
  const stamp = join(environment, 'installed.json')
  const wanted = JSON.stringify(packages[rival])
  const programs = join(environment, 'bin')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return programs
  try {
    mkdirSync(environments, { recursive: true })
    execFileSync('python3', ['-m', 'venv', environment])
    execFileSync(join(programs, 'pip'), ['install', '--quiet', ...packages[rival]], { stdio: 'inherit' })
    writeFileSync(stamp, wanted)
    return programs
  } catch (thrown) {
    console.log(`Left out ${rival}, which could not be installed: ${(thrown as Error).message}`)
    return null
  }
}

export interface Twin {
  /** Of the ONNX file. */
  readonly file: string
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** @param folder where its settings may be written */
export function launchMlserver(
  programs: string,
  twin: Twin,
  folder: string,
  core: number,
  port: number,
): Launch {
  const settings = {
    http_port: port,
    grpc_port: port + 1,
    metrics_port: port + 2,
    host: '127.0.0.1',
    // In the same process: another one for a single model costs it a third of its speed.
    parallel_workers: 0,
    debug: false,
    use_structured_logging: false,
  }
  const model = { name: 'float', implementation: 'mlserver_model.OnnxModel' }
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings))
  writeFileSync(join(folder, 'model-settings.json'), JSON.stringify(model))
  return {
    core,
    port,
    cwd: folder,
    command: [join(programs, 'mlserver'), 'start', folder],
    env: { BENCH_ONNX: twin.file, PYTHONPATH: sources, OMP_NUM_THREADS: '1' },
    readyPath: '/v2/models/float/ready',
  }
}

/** @param batch requests that are answered together at most */
export function launchLitserve(
  programs: string,
  twin: Twin,
  batch: number,
  core: number,
  port: number,
): Launch {
  return {
    core,
    port,
    command: [join(programs, 'python'), join(sources, 'litserve_server.py'), String(port)],
    env: {
      BENCH_ONNX: twin.file,
      BENCH_HEIGHT: String(twin.height),
      BENCH_WIDTH: String(twin.width),
      BENCH_MODE: twin.channels === 1 ? 'L' : 'RGB',
      BENCH_BATCH: String(batch),
      OMP_NUM_THREADS: '1',
    },
    readyPath: '/health',
  }
}
