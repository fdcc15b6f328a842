/** Servers under the same load by turns: what counts is a ratio within a round. */

import { ratios, type Spread, spreadOf } from '../rounds.ts'
import type { ServerProcess } from './process.ts'
import type { Request } from './requests.ts'
import { type Load, putUnderLoad } from './wrk.ts'

export interface Side {
  readonly name: string
  readonly server: ServerProcess
  readonly request: Request
  /** Of a request. */
  readonly rows: number
}

export interface SideResult {
  readonly rowsPerSecond: Spread
  readonly requestsPerSecond: Spread
  /** CPU time of the server, in microseconds a request. */
  readonly cpuMicroseconds: Spread
  /** The generator's own share of its core, the largest of all rounds. */
  readonly generatorBusy: number
}

export interface DuelResult {
  readonly sides: readonly SideResult[]
  /** The rows a second of one side over those of another one, round by round; sides by their place. */
  faster(side: number, than: number): Spread
}

export async function duel(sides: readonly Side[], rounds: number, load: Load): Promise<DuelResult> {
  const measured = sides.map(() => ({
    rate: new Float64Array(rounds),
    cpu: new Float64Array(rounds),
    busy: 0,
  }))
  // The first seconds of a server are spent on compiling itself.
  for (const { server, request } of sides) await putUnderLoad(server.url, request, { ...load, seconds: 2 })
  for (let round = 0; round < rounds; round++) {
    for (const [index, { server, request }] of sides.entries()) {
      const cpuBefore = server.cpuSeconds()
      const { requestsPerSecond, requests, busy } = await putUnderLoad(server.url, request, load)
      const side = measured[index]
      side.rate[round] = requestsPerSecond
      side.cpu[round] = ((server.cpuSeconds() - cpuBefore) / requests) * 1e6
      side.busy = Math.max(side.busy, busy)
    }
  }
  const rowRates = sides.map(({ rows }, index) => measured[index].rate.map(rate => rate * rows))
  return {
    sides: measured.map(({ rate, cpu, busy }, index) => ({
      rowsPerSecond: spreadOf(rowRates[index]),
      requestsPerSecond: spreadOf(rate),
      cpuMicroseconds: spreadOf(cpu),
      generatorBusy: busy,
    })),
    faster: (side, than) => spreadOf(ratios(rowRates[side], rowRates[than])),
  }
}
