import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** Whole cores that this process may use at once, at least 1: the affinity mask's, and no more than the cgroup's quota. */
export function availableCores(): number {
  const quota = cgroupCores('/sys/fs/cgroup', read('/proc/self/cgroup') ?? '')
  return Math.max(1, Math.min(availableParallelism(), Math.floor(quota)))
}

/**
 * The CPU quota of a process in cores, Infinity where there is none. A quota of cgroup v2 binds all below it, so the
 * tightest on the way to the root counts.
 *
 * @param root where cgroup v2 is mounted
 * @param membership the text of `/proc/<pid>/cgroup`; the line `0::<path>` is that of cgroup v2
 */
export function cgroupCores(root: string, membership: string): number {
  const path = /^0::(\/.*)$/m.exec(membership)?.[1]
  if (path === undefined) return Number.POSITIVE_INFINITY
  const names = path.split('/').filter(name => name !== '')
  const quotas = Array.from({ length: names.length + 1 }, (_, depth) =>
    quotaOf(read(join(root, ...names.slice(0, depth), 'cpu.max'))),
  )
  return Math.min(...quotas)
}

/** `<quota> <period>` in microseconds, or `max <period>`. The root group has no such file. */
function quotaOf(text: string | undefined): number {
  const match = /^(\d+) (\d+)\s*$/.exec(text ?? '')
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]) / Number(match[2])
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No cgroup v2, or none that this process may see: nothing is known to bind it.
    return undefined
  }
}
