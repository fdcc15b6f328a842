import { test } from 'tap'
import { PeakMeter } from '../../bench/peak.ts'
import { findCompiler } from '../../scripts/native.ts'
import { builtAddon } from '../engine/native-addon.ts'

const skip = builtAddon.skip || (findCompiler() === null && 'there is no C++ compiler')

test('every native backend of this machine has a peak, and words with masks have their own', {
  skip,
}, async t => {
  // On ARM plain C++ has none.
  const backends = builtAddon.load().backends.filter(name => process.arch === 'x64' || name !== 'scalar')
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
