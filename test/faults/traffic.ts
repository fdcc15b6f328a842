/** Clients that ask without a pause, and account for every request. */

import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface Question {
  readonly path: string
  readonly body: Uint8Array
  readonly contentType: string
}

export interface Balance {
  readonly sent: number
  /** Answers by status. */
  readonly answered: ReadonlyMap<number, number>
  /** Connections that closed before the answer had come. */
  readonly lost: number
  /** A few of the bodies that came with other statuses than 200. */
  readonly samples: readonly string[]
  /** Of the refusals with 503, those without a Retry-After of a second or more. */
  readonly withoutRetryAfter: number
  /** Milliseconds from a request to the end of its answer, in no order. */
  readonly latencies: readonly number[]
}

export interface Traffic {
  /** Requests that have been answered until now. */
  readonly answers: () => number
  /** The clients ask no more; resolves when all have their answers. */
  stop(): Promise<Balance>
}

/** A digit in raw pixels, to be answered by one member. */
export const digit: Question = {
  path: '/predict?members=1',
  body: Uint8Array.from({ length: 28 * 28 }, (_, index) => (index * 7) & 255),
  contentType: 'application/octet-stream',
}

export function startTraffic(url: string, clients: number, question: Question = digit): Traffic {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const answered = new Map<number, number>()
  const samples: string[] = []
  const latencies: number[] = []
  let sent = 0
  let lost = 0
  let withoutRetryAfter = 0
  let stopping = false

  async function client(): Promise<void> {
    while (!stopping) {
      sent++
      const start = performance.now()
      try {
        const { status, retryAfter, body } = await ask(agent, url, question)
        latencies.push(performance.now() - start)
        answered.set(status, (answered.get(status) ?? 0) + 1)
        if (status !== 200 && samples.length < 3) samples.push(`${status} ${body.slice(0, 200)}`)
        if (status === 503 && !(Number(retryAfter) >= 1)) withoutRetryAfter++
        // As a client that was refused should; without a pause it would only measure refusals.
        if (status === 503) await delay(2)
      } catch (error) {
        lost++
        if (samples.length < 3) samples.push(String(error))
      }
    }
  }

  const done = Promise.all(Array.from({ length: clients }, client))
  return {
    answers: () => [...answered.values()].reduce((sum, count) => sum + count, 0),
    async stop() {
      stopping = true
      await done
      agent.destroy()
      return { sent, answered, lost, samples, withoutRetryAfter, latencies }
    },
  }
}

/** One line for whoever reads the test's output. */
export function describe({ sent, answered, lost, samples, latencies }: Balance): string {
  const statuses = [...answered].map(([status, count]) => `${count} × ${status}`).join(', ')
  const others = samples.length === 0 ? '' : ` (${samples.join('; ')})`
  return `sent ${sent} = answered ${statuses} + lost ${lost}, ${describeLatencies(latencies)}${others}`
}

/** Times are for whoever reads the test's output: no test asserts them. */
export function describeLatencies(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((left, right) => left - right)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]?.toFixed(1)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`
}

/** Whether each request has its answer. */
export function isBalanced({ sent, answered, lost }: Balance): boolean {
  return lost === 0 && sent === [...answered.values()].reduce((sum, count) => sum + count, 0)
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

function ask(agent: Agent, url: string, { path, body, contentType }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url + path,
      { method: 'POST', agent, headers: { 'content-type': contentType, 'content-length': body.length } },
      response => {
        void collect(response).then(
          text =>
            resolve({
              status: response.statusCode!,
              retryAfter: response.headers['retry-after'],
              body: text,
            }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Waits until so many more requests have been answered. */
export async function moreAnswers(traffic: Traffic, count: number): Promise<void> {
  const goal = traffic.answers() + count
  while (traffic.answers() < goal) await delay(5)
}
