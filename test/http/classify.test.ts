import { Readable } from 'node:stream'
import { test } from 'tap'
import { XnordError } from '../../src/errors.ts'
import { shapes, square } from './fake-service.ts'
import { metric, multipart, testApp } from './helper.ts'

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])

test('/predict answers one entry a part, in the order of the parts, with their file names', async t => {
  const { app, requests } = await testApp(t)
  const answer = await app.inject({
    ...multipart([
      { filename: 'first.png', content: 'one' },
      { filename: 'zwölf.png', content: 'two' },
      { filename: '', content: 'three' },
    ]),
    url: '/predict?top=2',
  })
  t.equal(answer.statusCode, 200)
  const entry = {
    label: 'square',
    index: 1,
    probability: 0.7,
    top: [
      { label: 'square', index: 1, probability: 0.7 },
      { label: 'star', index: 2, probability: 0.2 },
    ],
    uncertainty: { entropy: 0.75, mutualInformation: 0.125, agreement: 1, members: 2 },
  }
  t.strictSame(answer.json(), {
    model: 'shapes',
    version: 2,
    digest: 'd'.repeat(64),
    backend: 'wasm',
    predictions: [
      { name: 'first.png', ...entry },
      { name: 'zwölf.png', ...entry },
      { name: null, ...entry },
    ],
  })
  t.same(
    requests[0]!.rows.map(({ kind, bytes }) => [kind, Buffer.from(bytes).toString()]),
    [
      ['file', 'one'],
      ['file', 'two'],
      ['file', 'three'],
    ],
  )
})

test('/predict takes one image as the body', async t => {
  const { app, requests } = await testApp(t)
  for (const type of ['image/png', 'image/jpeg', 'image/webp', 'image/png; charset=binary']) {
    const answer = await app.inject({
      method: 'POST',
      url: '/predict',
      headers: { 'content-type': type },
      payload: Buffer.from('bytes'),
    })
    t.equal(answer.statusCode, 200, type)
    t.equal(answer.json().predictions[0].name, null)
  }
  t.match(requests, [{ rows: [{ kind: 'file', bytes: Buffer.from('bytes') }] }])
})

test('/predict takes raw pixels, several rows one after the other', async t => {
  const { app, requests } = await testApp(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/predict',
    headers: { 'content-type': 'application/octet-stream' },
    payload: Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]),
  })
  t.equal(answer.json().predictions.length, 2)
  t.same(
    requests[0]!.rows.map(({ kind, bytes }) => [kind, ...bytes]),
    [
      ['pixels', 1, 2, 3, 4],
      ['pixels', 5, 6, 7, 8],
    ],
  )
})

test('a model that is swapped while a body arrives is the one that answers, and that is named', async t => {
  const models = [shapes]
  const { app, requests } = await testApp(t, { models })
  const swapped = { ...shapes, digest: 'e'.repeat(64), input: { ...shapes.input, height: 1 } }
  async function* body() {
    yield Buffer.from([1, 2])
    models[0] = swapped
    yield Buffer.from([3, 4])
  }
  const answer = await app.inject({
    method: 'POST',
    url: '/predict',
    headers: { 'content-type': 'application/octet-stream' },
    payload: Readable.from(body()),
  })
  t.equal(answer.json().digest, swapped.digest)
  t.equal(requests[0]!.model, swapped)
  t.equal(requests[0]!.rows.length, 2)
})

test('more rows of pixels than the queue takes are refused', async t => {
  const { app, requests } = await testApp(t, { config: { queueRows: 2 } })
  const headers = { 'content-type': 'application/octet-stream' }
  const answer = await app.inject({ method: 'POST', url: '/predict', headers, payload: Buffer.alloc(12) })
  t.equal(answer.statusCode, 413)
  t.equal(answer.json().code, 'REQUEST_TOO_LARGE_FOR_QUEUE')
  t.equal(requests.length, 0)
})

test('the query chooses model, version, members and deadline', async t => {
  const older = { ...shapes, version: 1 }
  const { app, requests } = await testApp(t, { models: [older, shapes] })
  const before = performance.now()
  await app.inject({ ...image, url: '/predict?model=shapes&version=1&members=4&deadline=60000' })
  t.equal(requests[0]!.model, older)
  t.equal(requests[0]!.members, 4)
  const { deadline } = requests[0]!
  t.ok(deadline! >= before + 60_000 && deadline! <= performance.now() + 60_000)
})

test("without a query the model's own number of members answers, by no deadline, and without the baseline", async t => {
  const { app, requests } = await testApp(t)
  await app.inject({ ...image, url: '/predict' })
  t.equal(requests[0]!.members, 2)
  t.equal(requests[0]!.networks, 'discrete')
  t.equal(requests[0]!.deadline, undefined)
})

test('five classes are listed where the request does not say how many, the more probable and then the lower first', async t => {
  const labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  const { app } = await testApp(t, {
    models: [{ ...shapes, labels }],
    answer: (_row, request) => {
      const answer = square(request)
      if (!answer.ok) return answer
      const probabilities = Float64Array.of(0.1, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1)
      return { ...answer, prediction: { ...answer.prediction!, probabilities, index: 4 } }
    },
  })
  const answer = await app.inject({ ...image, url: '/predict' })
  t.same(
    answer.json().predictions[0].top.map(({ label }: { label: string }) => label),
    ['e', 'b', 'a', 'c', 'd'],
  )
})

test('/predict is answered by the baseline alone where it is asked to be', async t => {
  const { app, requests } = await testApp(t)
  const two = multipart([
    { filename: 'a.png', content: 'one' },
    { filename: 'b.png', content: 'two' },
  ])
  const answer = await app.inject({ ...two, url: '/predict?network=baseline&top=1' })
  t.equal(answer.statusCode, 200)
  const star = {
    label: 'star',
    index: 2,
    probability: 0.5,
    top: [{ label: 'star', index: 2, probability: 0.5 }],
  }
  t.strictSame(answer.json(), {
    model: 'shapes',
    version: 2,
    digest: 'd'.repeat(64),
    backend: 'wasm',
    network: 'baseline',
    predictions: [
      { name: 'a.png', ...star },
      { name: 'b.png', ...star },
    ],
  })
  t.equal(requests[0]!.networks, 'baseline')
  t.equal(answer.headers['server-timing'], 'queue;dur=0.250, decode;dur=0.500, baseline;dur=2.000')
  for (const outcome of ['same', 'different']) {
    const compared = `xnord_compared_rows_total{model="shapes",version="2",outcome="${outcome}"}`
    t.equal(await metric(app, compared), 0)
  }
})

test('/predict?network=discrete is /predict', async t => {
  const { app, requests } = await testApp(t)
  const [plain, named] = [
    await app.inject({ ...image, url: '/predict' }),
    await app.inject({ ...image, url: '/predict?network=discrete' }),
  ]
  t.equal(named.body, plain.body)
  t.equal(requests[1]!.networks, 'discrete')
})

test('/compare answers both networks, each with its time in milliseconds', async t => {
  const { app, requests } = await testApp(t)
  const answer = await app.inject({ ...image, url: '/compare?top=1' })
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.json().predictions, [
    {
      name: 'a.png',
      discrete: {
        label: 'square',
        index: 1,
        probability: 0.7,
        top: [{ label: 'square', index: 1, probability: 0.7 }],
        uncertainty: { entropy: 0.75, mutualInformation: 0.125, agreement: 1, members: 2 },
        milliseconds: 0.125,
      },
      baseline: {
        label: 'star',
        index: 2,
        probability: 0.5,
        top: [{ label: 'star', index: 2, probability: 0.5 }],
        milliseconds: 2,
      },
    },
  ])
  t.equal(requests[0]!.networks, 'both')
  t.equal(await metric(app, 'xnord_compared_rows_total{model="shapes",version="2",outcome="different"}'), 1)
})

test('the times of the stages go into the Server-Timing header, the longest of all rows', async t => {
  let row = 0
  const { app } = await testApp(t, {
    answer: (_row, request) => {
      const answer = square(request)
      row++
      return answer.ok
        ? { ...answer, times: { queue: row, decode: 0.5, compute: 1 / row, baseline: null } }
        : answer
    },
  })
  const two = multipart([
    { filename: 'a', content: 'a' },
    { filename: 'b', content: 'b' },
  ])
  const answer = await app.inject({ ...two, url: '/predict' })
  t.equal(answer.headers['server-timing'], 'queue;dur=2.000, decode;dur=0.500, compute;dur=1.000')
})

test('of two files, one broken, the broken one fails alone and in its place', async t => {
  const { app } = await testApp(t, {
    answer: (row, request) =>
      Buffer.from(row.bytes).toString() === 'broken'
        ? { ok: false, error: { code: 'IMAGE_MALFORMED', detail: 'It is cut short.' } }
        : square(request),
  })
  const answer = await app.inject({
    ...multipart([
      { filename: 'a.png', content: 'broken' },
      { filename: 'b.png', content: 'whole' },
    ]),
    url: '/predict',
  })
  t.equal(answer.statusCode, 200)
  const [first, second] = answer.json().predictions
  t.strictSame(first, {
    name: 'a.png',
    error: {
      code: 'IMAGE_MALFORMED',
      title: 'The image is damaged or cut short',
      detail: 'It is cut short.',
    },
  })
  t.equal(second.label, 'square')
})

test("where every row failed, the status is the first error's, and the problem lists them all", async t => {
  const { app } = await testApp(t, {
    answer: row => ({
      ok: false,
      error: { code: row.bytes.length === 0 ? 'IMAGE_EMPTY' : 'IMAGE_FORMAT_UNKNOWN', detail: 'So.' },
    }),
  })
  const answer = await app.inject({
    ...multipart([
      { filename: 'a.png', content: 'text' },
      { filename: 'b.png', content: '' },
    ]),
    url: '/predict',
  })
  t.equal(answer.statusCode, 415)
  t.equal(answer.headers['content-type'], 'application/problem+json')
  t.match(answer.json(), {
    code: 'IMAGE_FORMAT_UNKNOWN',
    status: 415,
    predictions: [
      { name: 'a.png', error: { code: 'IMAGE_FORMAT_UNKNOWN' } },
      { name: 'b.png', error: { code: 'IMAGE_EMPTY' } },
    ],
  })
})

test('what serving refuses is a problem document with its code', async t => {
  const { app } = await testApp(t, {
    answer: () => {
      throw new XnordError('QUEUE_FULL', '4096 rows wait', { retryAfter: 2.4 })
    },
  })
  const answer = await app.inject({ ...image, url: '/predict' })
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '3')
  const { instance, ...problem } = answer.json()
  t.match(instance, /^urn:uuid:[0-9a-f-]{36}$/)
  t.strictSame(problem, {
    type: 'urn:xnord:error:QUEUE_FULL',
    title: 'The queue is full',
    status: 503,
    detail: '4096 rows wait',
    code: 'QUEUE_FULL',
  })
})
