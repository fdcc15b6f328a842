import { test } from 'tap'
import { PeakMeter } from '../../bench/peak.ts'
import { findCompiler } from '../../scripts/native.ts'
import type { Backend } from '../../src/engine/kernels/kernels.ts'
import { XnordError } from '../../src/errors.ts'
import { loadBackend } from '../../src/serving/backend.ts'

const skip = findCompiler() === null && 'there is no C++ compiler'

/** What the CPU runs of them. */
async function present(names: readonly Backend[]): Promise<readonly Backend[]> {
  const there = await Promise.all(
    names.map(name =>
      loadBackend(name).then(
        () => true,
        (thrown: unknown) => {
          if (!(thrown instanceof XnordError)) throw thrown
          return false
        },
      ),
    ),
  )
  return names.filter((_, index) => there[index])
}

test('every native backend of this machine has a peak, and words with masks have their own', {
  skip,
}, async t => {
  const backends = await present(
    process.arch === 'arm64' ? ['neon'] : ['avx512', 'avx512bw', 'avx2', 'scalar'],
  )
  const meter = await PeakMeter.open(backends)
  t.teardown(() => meter.close())
  await meter.measure()
  t.equal(meter.runs, 1)
  const names = backends.flatMap(name => (name === 'avx512' ? [name, 'avx512 masked'] : [name]))
  t.same([...meter.peaks.keys()], names)
  const first = new Map(meter.peaks)
  await meter.measure()
  for (const [name, peak] of meter.peaks) {
    t.ok(peak.chains > 0)
    t.ok(
      peak.wordOperationsPerSecond >= first.get(name)!.wordOperationsPerSecond,
      'the best of all runs is kept',
    )
  }
})

test('what has no instructions of its own has no peak', async t => {
  const meter = await PeakMeter.open(['wasm'])
  await meter.measure()
  t.equal(meter.peaks.size, 0)
  meter.close()
})
