import { once } from 'node:events'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { Holders } from '../../src/serving/holders.ts'
import { Library } from '../../src/serving/library.ts'
import { createService } from '../../src/serving/service.ts'
import type { Row, RowAnswer, ServedModel, Service } from '../../src/serving/types.ts'
import { retensor, rewrite } from '../engine/rewrite.ts'
import { recordingLog, recordingObserver, tinyFile, tinyLogits, tinyRows, write } from './tiny.ts'

const threads: Worker[] = []
process.on('worker', thread => threads.push(thread))

/** The same network under another digest. */
function edition(name: string, number: number): Uint8Array {
  return rewrite(tinyFile, header => {
    header.xnord.name = name
    header.xnord.provenance = { edition: number }
  })
}

const broken = tinyFile.subarray(0, 4096)

function ask(service: Service, model: ServedModel, row: Row = tinyRows[4]): Promise<readonly RowAnswer[]> {
  return service.predict({ model, rows: [row], members: 3, networks: 'discrete' })
}

function logits([answer]: readonly RowAnswer[]): readonly number[] {
  if (!answer.ok) throw new Error(answer.error.detail)
  return [...answer.prediction!.logits]
}

/** Clients that ask as fast as they are answered, until they are stopped. */
function traffic(service: Service, name: string, clients: number) {
  let going = true
  let sent = 0
  let answered = 0
  const failures: unknown[] = []
  const editions = new Set<unknown>()
  const client = async () => {
    while (going) {
      const model = service.find(name)
      editions.add(model.provenance.edition)
      try {
        // As a request whose body is still arriving.
        if (sent++ % 3 === 0) await new Promise(setImmediate)
        const answer = logits(await ask(service, model))
        if (JSON.stringify(answer) === JSON.stringify(tinyLogits(4, 3))) answered++
      } catch (thrown) {
        failures.push(thrown)
      }
    }
  }
  const all = Promise.all(Array.from({ length: clients }, client))
  return {
    async stop() {
      going = false
      await all
      return { sent, answered, failures, editions: editions.size }
    },
  }
}

// Each of these tests has a model of its own in the folder of one service.
test('a service whose folder changes', async t => {
  const folder = write(t.testdir({}), { 'first/1/model.safetensors': edition('first', 1) })
  const { observer, observed } = recordingObserver()
  const { log } = recordingLog()
  const limits = { workers: 2, queueRows: 1000, maxPixels: 1_000_000 }
  const service = await createService({ models: folder, ...limits, observer, log })
  t.teardown(() => service.close())
  /** A file takes the place of another one at once, as whoever deploys does it. */
  const put = (path: string, file: Uint8Array) => {
    write(folder, { [`${path}/new`]: file })
    renameSync(join(folder, path, 'new'), join(folder, path, 'model.safetensors'))
  }
  const index = async (name: string) => (await service.index()).filter(entry => entry.name === name)

  await t.test('loads, swaps and forgets versions under traffic, and no request fails', async t => {
    put('swapped/1', edition('swapped', 1))
    await service.load('swapped')
    const before = observed.models.length
    const clients = traffic(service, 'swapped', 8)
    for (const number of [2, 3, 4]) {
      put('swapped/1', edition('swapped', number))
      await service.load('swapped')
      t.equal(service.find('swapped').provenance.edition, number)
    }
    put('swapped/2', edition('swapped', 5))
    await service.load('swapped')
    t.equal(service.find('swapped').version, 2)
    rmSync(join(folder, 'swapped/2'), { recursive: true })
    await service.load('swapped')
    t.equal(service.find('swapped').version, 1)
    const { sent, answered, failures, editions } = await clients.stop()
    t.same(failures, [])
    t.equal(answered, sent)
    t.ok(editions > 2, `${editions} editions were found in ${sent} requests`)
    const changes = observed.models.slice(before).map(digest => digest.startsWith('-'))
    t.same(changes, [false, true, false, true, false, true, false, true])
  })

  await t.test('goes on with the old file of a version whose new one is broken, and says why', async t => {
    put('damaged/1', edition('damaged', 1))
    await service.load('damaged')
    const clients = traffic(service, 'damaged', 4)
    put('damaged/1', broken)
    await t.rejects(service.load('damaged'), { code: 'MODEL_DIGEST_MISMATCH' })
    t.equal(service.find('damaged').provenance.edition, 1)
    const reason = /^MODEL_DIGEST_MISMATCH: /
    t.match(await index('damaged'), [{ name: 'damaged', version: 1, state: 'READY', reason }])
    put('damaged/1', edition('damaged', 2))
    await service.load('damaged')
    t.equal(service.find('damaged').provenance.edition, 2)
    t.same(await index('damaged'), [{ name: 'damaged', version: 1, state: 'READY', reason: '' }])
    const { sent, answered } = await clients.stop()
    t.equal(answered, sent)
  })

  await t.test('goes on with the old file where no worker can verify the new one', async t => {
    put('wrong/1', edition('wrong', 1))
    await service.load('wrong')
    const inverted = retensor(edition('wrong', 2), 'conv1.sign', bytes => {
      for (let index = 0; index < bytes.length; index++) bytes[index] ^= index % 4 === 3 ? 0x07 : 0xff
    })
    put('wrong/1', inverted)
    await t.rejects(service.load('wrong'), { code: 'MODEL_CHECK_FAILED' })
    t.same(logits(await ask(service, service.find('wrong'))), tinyLogits(4, 3))
  })

  await t.test('loads the versions that are whole, though the first one is broken', async t => {
    put('mixed/1', broken)
    put('mixed/2', edition('mixed', 2))
    await t.rejects(service.load('mixed'), { code: 'MODEL_DIGEST_MISMATCH' })
    t.equal(service.find('mixed').version, 2)
    t.match(await index('mixed'), [
      { version: 1, state: 'UNAVAILABLE', reason: /^MODEL_DIGEST_MISMATCH: / },
      { version: 2, state: 'READY', reason: '' },
    ])
  })

  await t.test('keeps the object of what has not changed', async t => {
    put('same/1', edition('same', 1))
    await service.load('same')
    const model = service.find('same')
    await service.load('same')
    put('same/1', edition('same', 1))
    await service.load('same')
    t.equal(service.find('same'), model)
  })

  await t.test('does not find what was unloaded, but answers what it had admitted', async t => {
    put('gone/1', edition('gone', 1))
    await service.load('gone')
    const model = service.find('gone')
    const admitted = ask(service, model)
    const unloading = service.unload('gone')
    await new Promise(setImmediate)
    t.throws(() => service.find('gone'), { code: 'MODEL_UNKNOWN' })
    t.same(logits(await admitted), tinyLogits(4, 3))
    await unloading
    await t.rejects(ask(service, model), { code: 'MODEL_UNKNOWN' })
    t.same(await index('gone'), [{ name: 'gone', version: 1, state: 'UNAVAILABLE', reason: 'unloaded' }])
    await t.rejects(service.unload('gone'), { code: 'MODEL_UNKNOWN' })

    await service.load('gone')
    t.same(logits(await ask(service, service.find('gone'))), tinyLogits(4, 3))
    t.same(logits(await ask(service, model)), tinyLogits(4, 3), 'its successor answers for it')
  })

  await t.test('lists what was loaded once, and of the rest what has a folder', async t => {
    put('listed/1', edition('listed', 1))
    put('listed/2', broken)
    await t.rejects(service.load('listed'))
    put('unseen/1', edition('unseen', 1))
    await service.unload('listed')
    rmSync(join(folder, 'listed'), { recursive: true })
    t.same(await index('listed'), [{ name: 'listed', version: 1, state: 'UNAVAILABLE', reason: 'unloaded' }])
    t.same(await index('unseen'), [
      { name: 'unseen', version: 1, state: 'UNAVAILABLE', reason: 'not loaded' },
    ])
    await t.rejects(service.load('listed'), { code: 'MODEL_UNKNOWN' })
  })

  await t.test('makes one change after the other, and says which is under way', async t => {
    put('busy/1', edition('busy', 1))
    put('busy/2', edition('busy', 2))
    const states = new Set<string>()
    let done = false
    const all = Promise.all([service.load('busy'), service.unload('busy'), service.load('busy')]).then(() => {
      done = true
    })
    while (!done) for (const { state } of await index('busy')) states.add(state)
    await all
    t.equal(service.find('busy').version, 2)
    t.ok(states.has('LOADING'))
  })

  await t.test('loads after the loss of a worker, whose successor computes with the model, too', async t => {
    const [thread] = threads
    const gone = once(thread, 'exit')
    await thread.terminate()
    await gone
    put('refilled/1', edition('refilled', 1))
    await service.load('refilled')
    const model = service.find('refilled')
    const answers = await Promise.all(tinyRows.map(row => ask(service, model, row)))
    t.same(
      answers.map(logits),
      tinyRows.map((_, row) => tinyLogits(row, 3)),
    )
  })

  await t.test('changes nothing any more once it closes', async t => {
    put('late/1', edition('late', 1))
    const loading = service.load('late').catch((thrown: unknown) => thrown)
    await service.close()
    await loading
    await t.rejects(service.load('late'), { code: 'SHUTTING_DOWN' })
    await t.rejects(service.unload('late'), { code: 'SHUTTING_DOWN' })
  })
})

test('a worker that dies when it is to let go of a model stops nothing', async t => {
  const folder = write(t.testdir({}), { 'tiny/1/model.safetensors': edition('tiny', 1) })
  const { observer, observed } = recordingObserver()
  const { log, lines } = recordingLog()
  const asked: number[] = []
  const pool = {
    workers: 2,
    threads: [1, 2],
    open: async () => undefined,
    async release(_: object, thread: number) {
      asked.push(thread)
      if (thread === 1) throw new XnordError('WORKER_LOST', 'The worker died.')
    },
  }
  const library = new Library({
    folder,
    backend: 'wasm',
    defaultModel: undefined,
    maxBatchRows: 64,
    pool,
    occupy: task => task(),
    holders: new Holders(),
    observer,
    log,
  })
  await library.start()
  await library.unload('tiny')
  t.same(asked, [1, 2])
  t.equal(observed.models.length, 2)
  t.match(lines.at(-1), { level: 'warn', details: { err: { code: 'WORKER_LOST' } } })
})
