import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { type Installed, packagesIn, pythonWith } from './python.ts'

/** An interpreter with tritonclient. */
export const tritonclient = pythonWith('requirements.txt')

/** Where perf_analyzer finds the libraries that come with it, beside those of the system. */
export const perfAnalyzerEnvironment = (packages: string): NodeJS.ProcessEnv => ({
  LD_LIBRARY_PATH: [join(packages, 'nvidia/cuda_runtime/lib'), process.env.LD_LIBRARY_PATH]
    .filter(Boolean)
    .join(delimiter),
})

/**
 * The last perf_analyzer that PyPI has: since 24.01 the packages of tritonclient bring none, and the one of its own name
 * is empty. It wants a CUDA runtime library, though no GPU, and libb64 of the system (Debian: libb64-0d).
 */
export const perfAnalyzer: Installed = runnable(
  packagesIn('perf_analyzer', ['tritonclient==2.41.0', 'nvidia-cuda-runtime-cu12==12.9.79']),
)

function runnable(packages: Installed): Installed {
  if (packages.path === null) return packages
  const { status, stderr, error } = spawnSync(join(packages.path, 'bin/perf_analyzer'), ['--version'], {
    env: { ...process.env, ...perfAnalyzerEnvironment(packages.path) },
    encoding: 'utf8',
  })
  return status === 0 ? packages : { path: null, skip: error?.message ?? stderr.trim() }
}
