/** Closed-loop load by wrk: so many connections, each of which sends its next request when it has its answer. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Request } from './requests.ts'

export interface Load {
  /** The core that wrk may use. */
  readonly core: number
  readonly connections: number
  readonly seconds: number
}

export interface LoadResult {
  readonly requestsPerSecond: number
  readonly requests: number
  /** Share of its core that wrk itself was busy: near 1 it measures itself. */
  readonly busy: number
}

const script = `
local requests, count, at = {}, 0, 0
function init(arguments)
  for _, path in ipairs(arguments) do
    local file = io.open(path, "rb")
    count = count + 1
    requests[count] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
end
function request()
  at = at % count + 1
  return requests[at]
end
function done(summary)
  local errors = summary.errors
  print("@" .. string.format('{"requests":%d,"microseconds":%d,"failures":%d}', summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`

/** @throws Error where any request got no answer, or another than 2xx and 3xx */
export async function putUnderLoad(url: string, request: Request, load: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'xnord-wrk-'))
  try {
    const scriptFile = join(folder, 'script.lua')
    const headers = Object.entries(request.headers).map(
      ([name, value]) => `wrk.headers["${name}"] = '${value}'`,
    )
    writeFileSync(scriptFile, ['wrk.method = "POST"', ...headers, script].join('\n'))
    const bodies = request.bodies.map((body, index) => {
      const file = join(folder, String(index))
      writeFileSync(file, body)
      return file
    })
    const wrk = [
      ['taskset', '-c', load.core],
      ['wrk', '-t', 1, '-c', load.connections, '-d', load.seconds, '-s', scriptFile],
      [`${url}${request.path}`, '--', ...bodies],
    ]
    // The shell's own account of its children is the only one that there is of what wrk used.
    const quoted = wrk.flat().map(word => `'${word}'`)
    const { stdout } = await promisify(execFile)('bash', ['-c', `${quoted.join(' ')}; times`])
    const summary = /^@(.*)$/m.exec(stdout)
    if (summary === null) throw new Error(`wrk printed no summary:\n${stdout}`)
    const { requests, microseconds, failures } = JSON.parse(summary[1]) as {
      readonly requests: number
      readonly microseconds: number
      readonly failures: number
    }
    if (failures > 0) throw new Error(`${url}${request.path}: ${failures} of ${requests} requests failed`)
    return {
      requests,
      requestsPerSecond: (requests / microseconds) * 1e6,
      busy: childSeconds(stdout) / (microseconds / 1e6),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** User and system time in the last line that `times` prints, as in `0m1.234s 0m0.100s`. */
function childSeconds(output: string): number {
  const last = output.trim().split('\n').at(-1)!
  return [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (total, [, minutes, seconds]) => total + 60 * Number(minutes) + Number(seconds),
    0,
  )
}
