/** What a call from JavaScript into the kernels costs. */

import { Tensor } from 'onnxruntime-node'
import { stepAddress } from '../../src/engine/plan.ts'
import { openArena, openRunner } from '../arena.ts'
import type { Bench } from '../bench.ts'
import { cost, spread, table } from '../markdown.ts'
import type { OnnxGraph } from '../onnx/encode.ts'
import { openSession } from '../onnx/session.ts'
import { type Contestant, type RoundsOptions, type Spread, spreadOf, takeTurns } from '../rounds.ts'

/** As little as ONNX Runtime can be asked for: one float, which it gives back. */
const identity: OnnxGraph = {
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  inputs: [{ name: 'x', shape: [1] }],
  outputs: [{ name: 'y', shape: [1] }],
}

/** One call for all steps against a call a step, and both against `classify`, which copies pixels and logits, too. */
export async function measureCalls(bench: Bench): Promise<string> {
  const { backends, networks, rounds } = bench
  // What a call costs depends on the boundary that it crosses, and there are two.
  const shown = backends.filter((backend, index) => index === 0 || backend.name === 'wasm')
  const rows: string[][] = []
  for (const network of networks) {
    const model = bench.model(network, 'binary')
    const arena = openArena(model, model.check.rows)
    const { plan } = arena
    const pixels = model.check.image.slice(0, plan.rowBytes)
    for (const backend of shown) {
      const { kernels, slot } = openRunner(arena, backend)
      const addresses = Array.from({ length: plan.stepsPerMember }, (_, step) => stepAddress(plan, 0, step))
      const contestants: readonly Contestant[] = [
        {
          name: 'one call',
          run: () => kernels.run(addresses[0], addresses.length, plan.slotsAddress, 1),
        },
        {
          name: 'a call a step',
          run: () => {
            for (const address of addresses) kernels.run(address, 1, plan.slotsAddress, 1)
          },
        },
        { name: 'classify', run: () => slot.classify(pixels, 1, 1) },
      ]
      const measured = await takeTurns(contestants, rounds)
      const [whole, single] = measured
      const further = spreadOf(
        single.map((time, round) => ((time - whole[round]) * 1e6) / (addresses.length - 1)),
      )
      rows.push([
        network.name,
        String(addresses.length),
        backend.name,
        ...measured.map(times => spread(spreadOf(times), 1000)),
        cost(further),
      ])
    }
  }
  const theirs = await measureIdentity(rounds)
  return `### The price of a call

One row, binary weights, microseconds: all steps of a network in one call from JavaScript, as xnord does it; a call a
step; and \`slot.classify\`, which copies pixels and logits, too. A further call costs what lies between the first two,
which networks of milliseconds hide: it is not resolved where the lower quartile of the rounds is none above 0.

${table(
  ['network', 'steps', 'backend', 'one call, µs', 'a call a step, µs', 'classify, µs', 'a further call, ns'],
  rows,
)}

A call of ONNX Runtime, by \`session.run\` on a network that gives back the one float that it takes, costs
${spread(theirs, 1000)} µs: a part of each of its times on this page, which a small network is mostly made of.`
}

/** Milliseconds. */
async function measureIdentity(rounds: RoundsOptions): Promise<Spread> {
  const session = await openSession(identity)
  const x = new Tensor('float32', Float32Array.of(1), [1])
  const [times] = await takeTurns([{ name: 'identity', run: () => session.run({ x }) }], rounds)
  await session.release()
  return spreadOf(times)
}
