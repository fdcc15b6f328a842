import { test } from 'tap'
import { completeModel, openArena, openRunner } from '../../bench/arena.ts'
import { networks, randomWeights, withWeights } from '../../bench/networks.ts'
import { verifyNetwork } from '../../src/engine/network.ts'
import { loadBackend } from '../../src/serving/backend.ts'

for (const network of networks) {
  for (const weights of ['binary', 'ternary'] as const) {
    test(`${network.name} with ${weights} weights is the same on the fastest backend and on wasm`, async t => {
      const fastest = (await loadBackend(undefined)).backend
      const model = completeModel(randomWeights(withWeights(network, weights), 1), fastest)
      const { slot } = openRunner(openArena(model, 3), (await loadBackend('wasm')).backend)
      t.doesNotThrow(() => verifyNetwork(slot, model.check))
    })
  }
}

test('about half of the bits of every layer are 1', async t => {
  for (const network of networks) {
    const { backend } = await loadBackend(undefined)
    const model = completeModel(randomWeights(network, 1), backend)
    const arena = openArena(model, 1)
    const noise = model.check.image.subarray(2 * arena.plan.rowBytes)
    const outputs = [...openRunner(arena, backend).slot.trace(noise, 1, 0)]
    for (const [index, { type, height, width, channels }] of arena.plan.outputs.entries()) {
      if (type !== 'bits') continue
      let ones = 0
      for (const byte of outputs[index]) for (let bit = 0; bit < 8; bit++) ones += (byte >> bit) & 1
      const share = ones / (height * width * channels)
      t.ok(share > 0.25 && share < 0.75, `${network.name}, ${arena.plan.operationNames[index]}: ${share}`)
    }
  }
})
