import { availableParallelism } from 'node:os'
import { test } from 'tap'
import { availableCores, cgroupCores } from '../../src/serving/cores.ts'

const membership = '4:memory:/ignored\n0::/kubepods/pod7\n'

test('a quota of the own group counts in cores', async t => {
  const root = t.testdir({ kubepods: { pod7: { 'cpu.max': '150000 100000\n' } } })
  t.equal(cgroupCores(root, membership), 1.5)
})

test('the tightest quota on the way to the root counts', async t => {
  const root = t.testdir({
    'cpu.max': '800000 100000\n',
    kubepods: { 'cpu.max': '200000 100000\n', pod7: { 'cpu.max': '400000 100000\n' } },
  })
  t.equal(cgroupCores(root, membership), 2)
})

test('a group without quota is not bound', async t => {
  const root = t.testdir({ kubepods: { pod7: { 'cpu.max': 'max 100000\n' } } })
  t.equal(cgroupCores(root, membership), Number.POSITIVE_INFINITY)
})

test('inside a container the own group is the root, and has the quota', async t => {
  const root = t.testdir({ 'cpu.max': '50000 100000\n' })
  t.equal(cgroupCores(root, '0::/\n'), 0.5)
})

test('without cgroup v2 nothing binds', async t => {
  const root = t.testdir({ 'cpu.max': '50000 100000\n' })
  t.equal(cgroupCores(root, '4:memory:/\n'), Number.POSITIVE_INFINITY)
  t.equal(cgroupCores(root, ''), Number.POSITIVE_INFINITY)
})

test('a file that is not as the kernel writes it binds nothing', async t => {
  for (const text of ['', 'max', '100000', '-1 100000', 'a b']) {
    t.equal(cgroupCores(t.testdir({ 'cpu.max': text }), '0::/\n'), Number.POSITIVE_INFINITY, text)
  }
})

test('at least one core is available here, and no more than the affinity mask has', async t => {
  const cores = availableCores()
  t.ok(Number.isInteger(cores) && cores >= 1 && cores <= availableParallelism())
})
