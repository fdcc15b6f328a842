import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { test } from 'tap'
import { parseModel } from '../../src/engine/format.ts'
import { createService } from '../../src/serving/service.ts'
import type { PredictRequest, Row, RowAnswer, ServiceOptions } from '../../src/serving/types.ts'
import { builtAddon } from '../engine/native-addon.ts'
import { retensor, rewrite } from '../engine/rewrite.ts'
import { encodeGreyPng } from '../images/png.ts'
import { referenceLayer } from './layer-reference.ts'
import {
  recordingLog,
  recordingObserver,
  tinyFile,
  tinyFolder,
  tinyLogits,
  tinyRows,
  tinyWith,
  write,
} from './tiny.ts'

const digit: Uint8Array = readFileSync(new URL('../fixtures/digit.png', import.meta.url))

const threads: Worker[] = []
process.on('worker', thread => threads.push(thread))

function options(models: string, change: Partial<ServiceOptions> = {}) {
  const { observer, observed } = recordingObserver()
  const { log, lines } = recordingLog()
  const filled: ServiceOptions = {
    models,
    workers: 2,
    queueRows: 1000,
    maxPixels: 1_000_000,
    observer,
    log,
    ...change,
  }
  return { options: filled, observed, lines }
}

function logits(answers: readonly RowAnswer[]): readonly (readonly number[] | string)[] {
  return answers.map(answer => (answer.ok ? [...answer.prediction!.logits] : answer.error.code))
}

const flipped = Uint8Array.from(tinyFile)
flipped[flipped.length - 1] ^= 0x10

/** Header length 2⁶³. */
const endless = Uint8Array.from(tinyFile)
endless.set([0, 0, 0, 0, 0, 0, 0, 0x80])

/** Each of them by what is wrong with it, and the code under which it is refused. */
const brokenModels: readonly (readonly [Uint8Array | string, string])[] = [
  ['', 'MODEL_HEADER_INVALID'],
  [tinyFile.subarray(0, 4096), 'MODEL_DIGEST_MISMATCH'],
  [flipped, 'MODEL_DIGEST_MISMATCH'],
  [endless, 'MODEL_TOO_LARGE'],
  [
    // A plane inverted, the digest made right again: 27 taps a channel.
    retensor(tinyFile, 'conv1.sign', bytes => {
      for (let index = 0; index < bytes.length; index++) bytes[index] ^= index % 4 === 3 ? 0x07 : 0xff
    }),
    'MODEL_CHECK_FAILED',
  ],
  [
    retensor(tinyFile, 'conv2.threshold', bytes => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (let at = 0; at < bytes.length; at += 4) view.setInt32(at, 2 ** 30, true)
    }),
    'MODEL_CHECK_FAILED',
  ],
  [
    retensor(tinyFile, 'logits.scale', bytes => {
      new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, Number.NaN, true)
    }),
    'MODEL_TENSOR_INVALID',
  ],
  [
    rewrite(tinyFile, header => {
      header.tensors['conv2.sign'].data_offsets = header.tensors['conv2.mask'].data_offsets
    }),
    'MODEL_TENSOR_INVALID',
  ],
  [tinyWith({ name: 'other' }), 'MODEL_HEADER_INVALID'],
]

test('a default model that is not there ends the start', async t => {
  const { options: given } = options(tinyFolder(t.testdir({})), { workers: 1, defaultModel: 'absent' })
  await t.rejects(createService(given), { code: 'CONFIGURATION_INVALID', message: /"absent"/ })
})

test('a service with two workers', async t => {
  const folder = tinyFolder(t.testdir({}))
  write(folder, { 'plain/7/model.safetensors': tinyWith({ name: 'plain' }), 'README.md': '' })
  for (const [index, [file]] of brokenModels.entries()) {
    write(folder, { [`tiny/${index + 2}/model.safetensors`]: file })
  }
  const { options: given, observed, lines } = options(folder, { backend: 'wasm' })
  const service = await createService(given)
  t.teardown(() => service.close())
  const model = service.find('tiny')
  const predict = (rows: PredictRequest['rows'], change: Partial<PredictRequest> = {}) =>
    service.predict({ model, rows, members: 1, networks: 'discrete', ...change })

  await t.test('serves what is whole', async t => {
    t.same(
      service.models().map(({ name, version }) => [name, version]),
      [
        ['plain', 7],
        ['tiny', 1],
      ],
    )
    t.match(service.state(), { ready: true, workers: 2, busyWorkers: 0, inFlightRows: 0 })
    t.equal(service.secondsToRoom(service.find('tiny')), 0)
    t.strictSame(
      [...service.state().queuedRows()],
      service.models().map(model => [model, 0]),
    )
    t.equal(service.backend, 'wasm')
  })

  await t.test('reports each broken version with its path and code, and goes on', async t => {
    const refused = lines.filter(({ level }) => level === 'error')
    t.same(
      refused.map(({ details }) => [details.path, details.code]),
      brokenModels.map(([, code], index) => [join(folder, 'tiny', `${index + 2}`), code]),
    )
  })

  await t.test('says which backend runs and what is ignored', async t => {
    t.match(lines[0], { level: 'info', details: { backend: 'wasm', workers: 2 } })
    t.ok(lines.some(({ level, details }) => level === 'warn' && details.path === join(folder, 'README.md')))
  })

  await t.test('answers with the logits of the reference', async t => {
    const answers = await predict(tinyRows, { members: 3 })
    t.same(
      logits(answers),
      tinyRows.map((_, row) => tinyLogits(row, 3)),
    )
  })

  await t.test(
    'gives a row the same bits, in whatever company, place and thread it is computed',
    async () => {
      const request = fc.record({
        rows: fc.array(fc.nat(tinyRows.length - 1), { minLength: 1, maxLength: 20 }),
        members: fc.integer({ min: 1, max: 3 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async list => {
          const answers = await Promise.all(
            list.map(({ rows, members }) =>
              predict(
                rows.map(row => tinyRows[row]),
                { members },
              ),
            ),
          )
          return list.every(({ rows, members }, index) => {
            const expected = rows.map(row => tinyLogits(row, members))
            return JSON.stringify(logits(answers[index])) === JSON.stringify(expected)
          })
        }),
        { numRuns: 30 },
      )
    },
  )

  await t.test('decodes files, large ones too, and fails broken ones alone', async t => {
    const large = encodeGreyPng(new Uint8Array(400 * 400).fill(200), 400, 400)
    const small = encodeGreyPng(new Uint8Array(20 * 20).fill(200), 20, 20)
    const file = (bytes: Uint8Array) => ({ kind: 'file' as const, bytes })
    const answers = await predict([
      file(large),
      file(digit.subarray(0, 60)),
      file(small),
      file(new Uint8Array(0)),
    ])
    const [first, second, third, fourth] = logits(answers)
    // Both are one grey, on black bars: resizing by areas leaves the same pixels.
    t.same(first, third)
    t.same([second, fourth], ['IMAGE_MALFORMED', 'IMAGE_EMPTY'])
    t.same(observed.failed.slice(-2).sort(), ['IMAGE_EMPTY', 'IMAGE_MALFORMED'])
  })

  await t.test('asks the baseline beside the network', async t => {
    const answers = await predict(tinyRows.slice(0, 4), { networks: 'both', members: 2 })
    for (const [row, answer] of answers.entries()) {
      if (!answer.ok) throw new Error(answer.error.detail)
      t.same([...answer.prediction!.logits], tinyLogits(row, 2))
      t.same([...(answer.baseline?.logits ?? [])], [0, tinyRows[row].bytes[0] - 128, 2.5, 0, 0])
      t.type(answer.times.baseline, 'number')
    }
  })

  await t.test('asks the baseline alone, for which no number of members is too high', async t => {
    const answers = await predict(tinyRows.slice(0, 4), { networks: 'baseline', members: 4 })
    for (const [row, answer] of answers.entries()) {
      if (!answer.ok) throw new Error(answer.error.detail)
      t.equal(answer.prediction, null)
      t.same([...(answer.baseline?.logits ?? [])], [0, tinyRows[row].bytes[0] - 128, 2.5, 0, 0])
      t.match(answer.times, { compute: null, baseline: Number })
    }
  })

  await t.test('gives each row the outputs of the layers that its request asks for', async t => {
    const { name } = model.layers[0]
    const broken: Row = { kind: 'file', bytes: new Uint8Array([0]) }
    const rows = [tinyRows[0], broken, tinyRows[1], tinyRows[2]]
    const [plain, traced] = await Promise.all([
      predict(rows, { members: 2 }),
      predict(rows, { members: 2, layers: [name] }),
    ])
    const tiny = parseModel(tinyFile)
    for (const [row, answer] of traced.entries()) {
      if (!answer.ok) {
        t.equal(row, 1)
        continue
      }
      const [bytes] = answer.layers!
      t.equal(Buffer.compare(bytes, referenceLayer(tiny, rows[row].bytes, name, 2).bytes), 0)
    }
    t.same(
      plain.map(answer => answer.ok && answer.layers),
      [[], false, [], []],
    )
  })

  await t.test('refuses what the model does not have', async t => {
    await t.rejects(predict([tinyRows[0]], { layers: ['nothing'] }), { code: 'TENSOR_INVALID' })
    for (const members of [0, 4, -1, 1.5, Number.NaN]) {
      await t.rejects(predict([tinyRows[0]], { members }), { code: 'MEMBERS_OUT_OF_RANGE' }, `${members}`)
    }
    const plain = service.find('plain', 7)
    for (const networks of ['baseline', 'both'] as const) {
      await t.rejects(predict([tinyRows[0]], { model: plain, networks }), { code: 'BASELINE_ABSENT' })
    }
    await t.rejects(predict([tinyRows[0]], { model: { ...model } }), { code: 'MODEL_UNKNOWN' })
    t.throws(() => service.find(), { code: 'MODEL_AMBIGUOUS', message: /plain, tiny/ })
    t.throws(() => service.find('tiny', 2), { code: 'VERSION_UNKNOWN' })
  })

  await t.test('answers all though its workers die, and goes on with new ones', async t => {
    const rows = Array.from({ length: 300 }, () => ({ kind: 'file' as const, bytes: digit }))
    const [[expected]] = [logits(await predict([rows[0]]))]
    const under = predict(rows)
    await Promise.all(threads.map(thread => thread.terminate()))
    t.ok(logits(await under).every(row => row.toString() === expected.toString()))
    t.same(observed.workersLost, ['exit', 'exit'])
    t.ok(observed.retried.length > 0)
    t.same(observed.rejected, [])
    const answers = await Promise.all(tinyRows.map(row => predict([row], { members: 3 })))
    t.same(
      answers.map(answer => logits(answer)[0]),
      tinyRows.map((_, row) => tinyLogits(row, 3)),
    )
    t.match(service.state(), { ready: true, inFlightRows: 0 })
    t.strictSame([...service.state().queuedRows().values()], [0, 0])
  })

  await t.test('tells how long its workers have worked', async t => {
    const { busySeconds } = service.state()
    await predict(tinyRows)
    t.ok(service.state().busySeconds > busySeconds)
  })

  await t.test('answers what it has when it closes, and takes nothing more', async t => {
    const answers = predict(tinyRows)
    const closing = service.close()
    t.equal(service.state().ready, false)
    await t.rejects(predict([tinyRows[0]]), { code: 'SHUTTING_DOWN' })
    t.equal((await answers).length, tinyRows.length)
    await closing
    t.equal(service.close(), closing)
  })
})

test('a batch takes no more rows than it is told to', async t => {
  const limits = { workers: 1, maxBatchRows: 3, batchDelay: 1 }
  const { options: given, observed } = options(tinyFolder(t.testdir({})), limits)
  const service = await createService(given)
  t.teardown(() => service.close())
  const model = service.find('tiny')
  t.equal(model.maxRows, 3)
  await service.predict({ model, rows: tinyRows.slice(0, 7), members: 1, networks: 'discrete' })
  t.same(observed.batches, [
    { rows: 3, reason: 'full' },
    { rows: 3, reason: 'full' },
    { rows: 1, reason: 'delay' },
  ])
})

const allBackends = [...(builtAddon.skip ? [] : builtAddon.load().backends), 'wasm']
for (const backend of allBackends) {
  test(`the ${backend} kernels answer with the logits of the reference`, async t => {
    const { options: given } = options(tinyFolder(t.testdir({})), { backend, workers: 1 })
    const service = await createService(given)
    t.teardown(() => service.close())
    t.equal(service.backend, backend)
    const model = service.find('tiny')
    t.equal(model.backend, backend)
    t.same(
      logits(await service.predict({ model, rows: tinyRows, members: 3, networks: 'discrete' })),
      tinyRows.map((_, row) => tinyLogits(row, 3)),
    )
  })
}

test('a folder of which nothing can be served ends the start', async t => {
  const folder = write(t.testdir({}), { 'tiny/1/model.safetensors': flipped })
  const { options: given, lines } = options(folder, { workers: 1 })
  await t.rejects(createService(given), { code: 'MODELS_MISSING' })
  t.ok(lines.some(({ details }) => details.code === 'MODEL_DIGEST_MISMATCH'))
})

test('a folder that is not there ends the start', async t => {
  const { options: given } = options(join(t.testdir({}), 'absent'), { workers: 1 })
  await t.rejects(createService(given), { code: 'MODELS_MISSING' })
})

test('a backend that is not there ends the start before a thread is started', async t => {
  const before = threads.length
  const { options: given } = options(tinyFolder(t.testdir({})), { backend: 'none' })
  await t.rejects(createService(given), { code: 'CONFIGURATION_INVALID' })
  t.equal(threads.length, before)
})
