import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { parseModel } from '../../src/engine/format.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { RunMessage, WorkerTasks } from '../../src/serving/messages.ts'
import type { LoadedModel } from '../../src/serving/model.ts'
import { unpackRows } from '../../src/serving/packed-rows.ts'
import type { Row } from '../../src/serving/types.ts'
import { createWorkerTasks } from '../../src/serving/worker-tasks.ts'
import { referenceLayer } from './layer-reference.ts'
import { backend, loadTiny, tinyFile, tinyLogits, tinyRows } from './tiny.ts'

const tiny = parseModel(tinyFile)
const digit: Uint8Array = readFileSync(new URL('../fixtures/digit.png', import.meta.url))
const file = (bytes: Uint8Array): Row => ({ kind: 'file', bytes })

async function worker(): Promise<WorkerTasks> {
  return createWorkerTasks({ backend: await backend(), maxPixels: 10_000 })
}

async function opened(folder: string): Promise<{ tasks: WorkerTasks; model: LoadedModel }> {
  const tasks = await worker()
  const model = await loadTiny(folder, 2)
  await tasks.open({ model: model.spec, slot: 1 })
  return { tasks, model }
}

function message(model: LoadedModel, rows: readonly Row[], change: Partial<RunMessage> = {}): RunMessage {
  const bytes = Buffer.concat(rows.map(row => row.bytes))
  return {
    model: model.spec.id,
    spec: null,
    slot: 0,
    members: 1,
    networks: 'discrete',
    layers: [],
    bytes: Uint8Array.from(bytes).buffer,
    rows: rows.map(({ kind, bytes: { length } }) => (kind === 'file' ? -length : length)),
    ...change,
  }
}

async function rowsOf(tasks: WorkerTasks, run: RunMessage) {
  const reply = await tasks.run(run)
  if (reply.kind !== 'packed-rows') throw new Error(`the worker replied ${JSON.stringify(reply)}`)
  return unpackRows(reply)
}

async function logitsOf(
  tasks: WorkerTasks,
  run: RunMessage,
): Promise<readonly (readonly number[] | ErrorCode)[]> {
  const { rows } = await rowsOf(tasks, run)
  return rows.map(row => (row.ok ? [...row.prediction!.logits] : row.error.code))
}

test('rows of pixels get the logits of the reference, member by member', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const logits = await logitsOf(tasks, message(model, tinyRows, { members: 3 }))
  t.same(
    logits,
    tinyRows.map((_, row) => tinyLogits(row, 3)),
  )
})

test('a result does not depend on the batch, the place in it, the slot or the number of members', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  for (const row of [0, 5, 10]) {
    const alone = message(model, [tinyRows[row]], { slot: 1 })
    t.same(await logitsOf(tasks, alone), [tinyLogits(row, 1)])
  }
  const backwards = message(model, [...tinyRows].reverse(), { members: 2 })
  t.same(
    await logitsOf(tasks, backwards),
    tinyRows.map((_, row) => tinyLogits(tinyRows.length - 1 - row, 2)),
  )
})

test('a broken image fails alone, and the rows behind it move up without a gap', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const rows = [tinyRows[3], file(digit.subarray(0, 60)), tinyRows[4], file(new Uint8Array([0])), tinyRows[5]]
  t.same(await logitsOf(tasks, message(model, rows)), [
    tinyLogits(3, 1),
    'IMAGE_MALFORMED',
    tinyLogits(4, 1),
    'IMAGE_FORMAT_UNKNOWN',
    tinyLogits(5, 1),
  ])
})

test('a batch of broken images computes nothing', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const reply = await rowsOf(tasks, message(model, [file(digit.subarray(0, 60))], { networks: 'both' }))
  t.match(reply, { rows: [{ ok: false, error: { code: 'IMAGE_MALFORMED' } }], compute: null, baseline: null })
})

test('every layer gives what the reference computes, for each row and member', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const names = model.served.layers.map(({ name }) => name)
  const rows = [tinyRows[2], file(new Uint8Array([0])), tinyRows[9]]
  for (const members of [1, 3]) {
    const reply = await rowsOf(tasks, message(model, rows, { members, layers: names }))
    t.equal(reply.layers.length, names.length)
    for (const [index, name] of names.entries()) {
      const expected = [2, 9].map(row => referenceLayer(tiny, tinyRows[row].bytes, name, members).bytes)
      t.equal(Buffer.compare(reply.layers[index], Buffer.concat(expected)), 0, `${name}, ${members} members`)
    }
  }
})

test('layers are given in the order in which they are asked for, beside the logits', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const [first, second] = model.served.layers
  const layers = [second.name, first.name]
  const reply = await rowsOf(tasks, message(model, [tinyRows[0]], { layers }))
  const expected = layers.map(name => referenceLayer(tiny, tinyRows[0].bytes, name, 1).bytes)
  t.same(
    reply.layers.map(bytes => [...bytes]),
    expected.map(bytes => [...bytes]),
  )
  t.same(await logitsOf(tasks, message(model, [tinyRows[0]], { layers })), [tinyLogits(0, 1)])
})

test('an image file is decoded to the pixels that the decode task gives', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const decoded = await tasks.decode({ input: model.spec.input, bytes: Uint8Array.from(digit).buffer })
  if (decoded.kind !== 'decoded') throw new Error('the digit was not decoded')
  t.equal(decoded.pixels.length, 13 * 11 * 3)
  t.ok(decoded.decode > 0)
  const [fromFile, fromPixels] = await logitsOf(
    tasks,
    message(model, [file(digit), { kind: 'pixels', bytes: decoded.pixels }]),
  )
  t.same(fromFile, fromPixels)
})

test('an image that cannot be decoded in a task of its own comes back as data', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const reply = await tasks.decode({
    input: model.spec.input,
    bytes: Uint8Array.from(digit.subarray(0, 60)).buffer,
  })
  t.match(reply, { kind: 'failed', error: { code: 'IMAGE_MALFORMED' }, stack: null })
})

test('probabilities are the mean over the members, softened by the temperature for their number', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  for (const members of [1, 2, 3]) {
    const temperature = [1, 0.75, 0.5][members - 1]
    const { rows } = await rowsOf(tasks, message(model, [tinyRows[6]], { members }))
    const [row] = rows
    if (!row.ok) throw new Error(row.error.detail)
    const expected = new Array(5).fill(0)
    for (let member = 0; member < members; member++) {
      const powers = tinyLogits(6, 3)
        .slice(member * 5, member * 5 + 5)
        .map(logit => Math.exp(logit / temperature))
      const sum = powers.reduce((total, power) => total + power)
      for (const [index, power] of powers.entries()) expected[index] += power / sum / members
    }
    const { probabilities, index, uncertainty } = row.prediction!
    for (const [label, probability] of probabilities.entries()) {
      t.ok(Math.abs(probability - expected[label]) < 1e-12, `${probability} is ${expected[label]}`)
    }
    t.equal(index, expected.indexOf(Math.max(...expected)))
    t.equal(uncertainty.members, members)
  }
})

test('the baseline answers the same rows beside the network', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const rows = [tinyRows[3], file(digit.subarray(0, 60)), tinyRows[7]]
  const reply = await rowsOf(tasks, message(model, rows, { networks: 'both' }))
  t.type(reply.baseline, 'number')
  const twins = reply.rows.map(row => (row.ok ? [...(row.baseline?.logits ?? [])] : null))
  t.same(twins, [
    [0, tinyRows[3].bytes[0] - 128, 2.5, 0, 0],
    null,
    [0, tinyRows[7].bytes[0] - 128, 2.5, 0, 0],
  ])
  const [first] = reply.rows
  if (!first.ok || first.baseline === null) throw new Error('the baseline did not answer')
  t.equal(first.baseline.index, tinyRows[3].bytes[0] - 128 > 2.5 ? 1 : 2)
  const sum = first.baseline.probabilities.reduce((total, probability) => total + probability)
  t.ok(Math.abs(sum - 1) < 1e-12)
  await tasks.release({ model: model.spec.id })
})

test('the baseline alone answers without the network: of the arena only the pixels of the slot change', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const { plan, memory } = model.spec
  const arena = new Uint8Array(memory.buffer)
  const expected = arena.slice()
  expected.set(Buffer.concat([tinyRows[3].bytes, tinyRows[7].bytes]), plan.slotsAddress + plan.pixelsOffset)
  const rows = [tinyRows[3], file(new Uint8Array([0])), tinyRows[7]]
  const reply = await rowsOf(tasks, message(model, rows, { members: 0, networks: 'baseline' }))
  t.equal(Buffer.compare(arena, expected), 0)
  t.equal(reply.compute, null)
  t.type(reply.baseline, 'number')
  t.same(
    reply.rows.map(row => (row.ok ? [row.prediction, ...row.baseline!.logits] : row.error.code)),
    [
      [null, 0, tinyRows[3].bytes[0] - 128, 2.5, 0, 0],
      'IMAGE_FORMAT_UNKNOWN',
      [null, 0, tinyRows[7].bytes[0] - 128, 2.5, 0, 0],
    ],
  )
  await tasks.release({ model: model.spec.id })
})

test('a baseline that is no network fails each batch that asks for it, and no other', async t => {
  const tasks = await worker()
  const model = await loadTiny(t.testdir({}), 1)
  const baseline = new SharedArrayBuffer(3)
  await tasks.open({ model: { ...model.spec, baseline }, slot: 0 })
  for (let time = 0; time < 2; time++) {
    const reply = await tasks.run(message(model, [tinyRows[0]], { networks: 'both' }))
    t.match(reply, { kind: 'failed', error: { code: 'BASELINE_INVALID' } })
  }
  t.same(await logitsOf(tasks, message(model, [tinyRows[0]])), [tinyLogits(0, 1)])
  t.match(await tasks.release({ model: model.spec.id }), { kind: 'done' })
})

test('a model that is not known is asked for, verified when it comes, and known from then on', async t => {
  const tasks = await worker()
  const model = await loadTiny(t.testdir({}), 2)
  const rows = [tinyRows[2]]
  t.match(await tasks.run(message(model, rows)), { kind: 'unknown-model' })
  t.same(await logitsOf(tasks, message(model, rows, { spec: model.spec, slot: 1 })), [tinyLogits(2, 1)])
  t.same(await logitsOf(tasks, message(model, rows)), [tinyLogits(2, 1)])
})

test('a model that was released is not known any more', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  t.match(await tasks.release({ model: model.spec.id }), { kind: 'done' })
  t.match(await tasks.run(message(model, [tinyRows[0]])), { kind: 'unknown-model' })
})

test('a model whose check vectors are not reproduced is refused with the name of the operation', async t => {
  const tasks = await worker()
  const model = await loadTiny(t.testdir({}), 1)
  const digest = Uint8Array.from(model.spec.check.digest)
  digest[1 * 6 * 32 + 2 * 32] ^= 1
  const spec = { ...model.spec, check: { ...model.spec.check, digest } }
  const refusal = { kind: 'failed', error: { code: 'MODEL_CHECK_FAILED', detail: /member 1.*conv3/ } }
  t.match(await tasks.open({ model: spec, slot: 0 }), refusal)
  t.match(await tasks.run(message(model, [tinyRows[0]], { spec })), refusal)
  t.match(await tasks.run(message(model, [tinyRows[0]])), { kind: 'unknown-model' })
})

test('a bug comes back as data, too, with the place where it happened', async t => {
  const { tasks, model } = await opened(t.testdir({}))
  const beyond = message(model, [tinyRows[0]], { slot: 99 })
  const reply = await tasks.run(beyond)
  t.match(reply, { kind: 'failed', error: { code: 'INTERNAL' }, stack: /network\.ts/ })
  const hole = message(model, [file(digit)])
  const detached = {
    ...hole,
    rows: [-hole.bytes.byteLength - 1],
  }
  t.match(await tasks.run(detached), { kind: 'failed', error: { code: 'INTERNAL' } })
})
