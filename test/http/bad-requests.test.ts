import type { InjectOptions } from 'fastify'
import { test } from 'tap'
import { shapes } from './fake-service.ts'
import { metric, multipart, type TestOptions, testApp } from './helper.ts'

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])

function body(type: string | undefined, payload: Uint8Array | string): InjectOptions {
  return {
    method: 'POST',
    url: '/predict',
    headers: type === undefined ? {} : { 'content-type': type },
    payload: Buffer.from(payload),
  }
}

interface Case {
  readonly request: InjectOptions
  readonly status: number
  readonly code: string
  readonly options?: TestOptions
}

const cases: Readonly<Record<string, Case>> = {
  'top=0': { request: { ...image, url: '/predict?top=0' }, status: 400, code: 'PARAMETER_INVALID' },
  'top=abc': { request: { ...image, url: '/predict?top=abc' }, status: 400, code: 'PARAMETER_INVALID' },
  'top= ': { request: { ...image, url: '/predict?top=' }, status: 400, code: 'PARAMETER_INVALID' },
  'more classes than there are': {
    request: { ...image, url: '/predict?top=4' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'the same parameter twice': {
    request: { ...image, url: '/predict?top=1&top=2' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'a parameter that does not exist': {
    request: { ...image, url: '/predict?member=1' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'a deadline that has passed already': {
    request: { ...image, url: '/predict?deadline=0' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'a network that does not exist': {
    request: { ...image, url: '/predict?network=float' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'members of the baseline, which has none': {
    request: { ...image, url: '/predict?network=baseline&members=1' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'one network where both are compared': {
    request: { ...image, url: '/compare?network=baseline' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'the baseline of a model that has none': {
    request: { ...image, url: '/predict?network=baseline' },
    status: 404,
    code: 'BASELINE_ABSENT',
    options: { models: [{ ...shapes, hasBaseline: false }] },
  },
  'a comparison by a model that has no baseline': {
    request: { ...image, url: '/compare' },
    status: 404,
    code: 'BASELINE_ABSENT',
    options: { models: [{ ...shapes, hasBaseline: false }] },
  },
  'an unknown model': {
    request: { ...image, url: '/predict?model=mnist' },
    status: 404,
    code: 'MODEL_UNKNOWN',
  },
  'an unknown version': {
    request: { ...image, url: '/predict?version=7' },
    status: 404,
    code: 'VERSION_UNKNOWN',
  },
  'no model named where there are several': {
    request: { ...image, url: '/predict' },
    status: 400,
    code: 'MODEL_AMBIGUOUS',
    options: { models: [shapes, { ...shapes, name: 'other' }] },
  },
  'no body at all': { request: { method: 'POST', url: '/predict' }, status: 400, code: 'FILE_MISSING' },
  'a body without a content type': {
    request: body(undefined, 'abc'),
    status: 415,
    code: 'CONTENT_TYPE_UNSUPPORTED',
  },
  'a content type that is not an image': {
    request: body('application/json', '{}'),
    status: 415,
    code: 'CONTENT_TYPE_UNSUPPORTED',
  },
  'a form that is not multipart': {
    request: body('application/x-www-form-urlencoded', 'file=a'),
    status: 415,
    code: 'CONTENT_TYPE_UNSUPPORTED',
  },
  'a garbled content type': {
    request: body('image//png;;', 'abc'),
    status: 415,
    code: 'CONTENT_TYPE_UNSUPPORTED',
  },
  'an empty content type': { request: body('', 'abc'), status: 415, code: 'CONTENT_TYPE_UNSUPPORTED' },
  'multipart without a boundary': {
    request: body('multipart/form-data', image.payload),
    status: 400,
    code: 'BODY_MALFORMED',
  },
  'multipart with another boundary': {
    request: body('multipart/form-data; boundary=other', image.payload),
    status: 400,
    code: 'BODY_MALFORMED',
  },
  'multipart cut short in a file': {
    request: { ...image, url: '/predict', payload: image.payload.subarray(0, -40) },
    status: 400,
    code: 'BODY_MALFORMED',
  },
  'multipart cut short in a header': {
    request: { ...image, url: '/predict', payload: image.payload.subarray(0, 40) },
    status: 400,
    code: 'BODY_MALFORMED',
  },
  'multipart without parts': {
    request: { ...multipart([]), url: '/predict' },
    status: 400,
    code: 'FILE_MISSING',
  },
  'multipart with an empty body': {
    request: { ...image, url: '/predict', payload: '' },
    status: 400,
    code: 'FILE_MISSING',
  },
  'a part that is not a file': {
    request: { ...multipart([{ name: 'top', content: '3' }]), url: '/predict' },
    status: 400,
    code: 'PARAMETER_INVALID',
  },
  'a part with the name of an inherited property': {
    request: { ...multipart([{ name: '__proto__', filename: 'a.png', content: 'a' }]), url: '/predict' },
    status: 400,
    code: 'BODY_MALFORMED',
  },
  '1,000 parts': {
    request: {
      ...multipart(Array.from({ length: 1000 }, () => ({ filename: 'a.png', content: 'a' }))),
      url: '/predict',
    },
    status: 413,
    code: 'TOO_MANY_PARTS',
  },
  'a file over the limit': {
    request: { ...image, url: '/predict' },
    status: 413,
    code: 'BODY_TOO_LARGE',
    options: { config: { maxFileBytes: 8 } },
  },
  'an image over the limit as the body': {
    request: body('image/png', '123456789'),
    status: 413,
    code: 'BODY_TOO_LARGE',
    options: { config: { maxFileBytes: 8 } },
  },
  'a body over the limit': {
    request: { ...image, url: '/predict' },
    status: 413,
    code: 'BODY_TOO_LARGE',
    options: { config: { maxBodyBytes: 50 } },
  },
  'no raw pixels': { request: body('application/octet-stream', ''), status: 400, code: 'PIXELS_LENGTH' },
  'raw pixels that do not fill their last row': {
    request: body('application/octet-stream', '12345'),
    status: 400,
    code: 'PIXELS_LENGTH',
  },
  'more bytes than may be held at one time': {
    request: { ...image, url: '/predict' },
    status: 503,
    code: 'UPLOADS_FULL',
    options: { config: { maxHeldBytes: 8 } },
  },
}

test('bad requests are refused before serving is asked, and leave nothing held', async t => {
  const common = await testApp(t)
  for (const [name, { request, status, code, options }] of Object.entries(cases)) {
    await t.test(`${name}: ${code}`, async t => {
      const { app, requests } = options === undefined ? common : await testApp(t, options)
      const answer = await app.inject(request)
      t.equal(answer.statusCode, status)
      t.equal(answer.headers['content-type'], 'application/problem+json')
      t.match(answer.json(), { type: `urn:xnord:error:${code}`, status, code, detail: /./ })
      t.equal(requests.length, 0)
      t.equal(await metric(app, 'xnord_held_bytes'), 0)
    })
  }
})

test('where only some values are taken, they are named', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject({ ...image, url: '/predict?network=float' })
  t.equal(answer.json().detail, 'network must be one of discrete, baseline.')
})

test('an integer of a query has one form', async t => {
  const { app } = await testApp(t)
  const statusOf = async (query: string) =>
    (await app.inject({ ...image, url: `/predict?${query}` })).statusCode
  for (const value of ['0x2', '1e0', '%201', '1%20', '02', '%2B2', '2.0', 'true', 'null', '9'.repeat(16)]) {
    t.equal(await statusOf(`members=${value}`), 400, value)
  }
  t.equal(await statusOf('version=02'), 400)
  t.equal(await statusOf('version=2&members=2&top=1&deadline=3600000'), 200)
  t.equal((await app.inject({ ...image, url: '/predict?model=2' })).json().code, 'MODEL_UNKNOWN')
})

test('an empty part is a row of its own, for serving to refuse', async t => {
  const { app, requests } = await testApp(t)
  await app.inject({ ...multipart([{ filename: 'a.png', content: '' }]), url: '/predict' })
  t.equal(requests[0]!.rows[0]!.bytes.length, 0)
})

test('an empty image as the body is a row of its own, for serving to refuse', async t => {
  const { app, requests } = await testApp(t)
  await app.inject(body('image/png', ''))
  t.equal(requests[0]!.rows[0]!.bytes.length, 0)
})

test('a file of exactly the limit is taken', async t => {
  const { app } = await testApp(t, { config: { maxFileBytes: 9 } })
  t.equal((await app.inject({ ...image, url: '/predict' })).statusCode, 200)
  t.equal((await app.inject(body('image/png', '123456789'))).statusCode, 200)
})

test('as many files as the limit are taken', async t => {
  const { app } = await testApp(t, { config: { maxFiles: 2 } })
  const part = { filename: 'a.png', content: 'a' }
  t.equal((await app.inject({ ...multipart([part, part]), url: '/predict' })).statusCode, 200)
  t.equal((await app.inject({ ...multipart([part, part, part]), url: '/predict' })).statusCode, 413)
})

test('of two files the one over the limit fails alone and in its place', async t => {
  const { app } = await testApp(t, { config: { maxFileBytes: 8 } })
  const answer = await app.inject({
    ...multipart([
      { filename: 'large.png', content: 'x'.repeat(100_000) },
      { filename: 'small.png', content: 'small' },
    ]),
    url: '/predict',
  })
  t.equal(answer.statusCode, 200)
  t.match(answer.json().predictions, [
    { name: 'large.png', error: { code: 'BODY_TOO_LARGE', detail: 'At most 8 bytes are taken.' } },
    { name: 'small.png', label: 'square' },
  ])
})

test('what is held of a request counts until it is answered', async t => {
  let held: number | null = null
  const { app } = await testApp(t, {
    answer: async () => {
      held = await metric(app, 'xnord_held_bytes')
      return { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'So.' } }
    },
  })
  await app.inject({ ...image, url: '/predict' })
  t.equal(held, 9)
  t.equal(await metric(app, 'xnord_held_bytes'), 0)
})

test('large uploads leave an eighth of the bytes that may be held to small ones', async t => {
  const { app } = await testApp(t, {
    config: { maxHeldBytes: 800_000 },
    answer: async () => {
      const large = await app.inject(body('image/png', 'x'.repeat(100_000)))
      const small = await app.inject(body('application/octet-stream', '123'))
      t.match(large.json(), { code: 'UPLOADS_FULL', detail: 'At most 700000 bytes are held at one time.' })
      t.match(small.json(), { code: 'PIXELS_LENGTH' })
      return { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'So.' } }
    },
  })
  const answer = await app.inject(body('image/png', 'x'.repeat(700_000)))
  t.equal(answer.json().code, 'IMAGE_EMPTY')
})

test('an upload refused for want of memory is counted', async t => {
  const { app } = await testApp(t, { config: { maxHeldBytes: 8 } })
  const answer = await app.inject({ ...image, url: '/predict' })
  t.equal(answer.headers['retry-after'], '1')
  t.equal(await metric(app, 'xnord_refused_uploads_total'), 1)
})

test('a content type that is not taken is answered with those that are', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject(body('application/json', '{}'))
  t.equal(
    answer.json().detail,
    'One of these is taken: multipart/form-data, image/png, image/jpeg, image/webp, application/octet-stream.',
  )
})

test('too many files are answered with how many are taken', async t => {
  const { app } = await testApp(t, { config: { maxFiles: 2 } })
  const part = { filename: 'a.png', content: 'a' }
  const answer = await app.inject({ ...multipart([part, part, part]), url: '/predict' })
  t.equal(answer.json().detail, 'At most 2 files are taken.')
})

test('an unknown address is ROUTE_UNKNOWN, with any method and body', async t => {
  const { app } = await testApp(t)
  const foreign = { ...body('image/png', 'abc'), url: '/nothing' }
  for (const request of [
    '/nothing',
    '/models/a/b',
    '/predict/x',
    foreign,
    { ...foreign, url: '/v2/nothing' },
  ]) {
    const answer = await app.inject(request)
    t.equal(answer.statusCode, 404)
    t.equal(answer.json().code, 'ROUTE_UNKNOWN')
  }
})

test('a method that an address does not take is refused as such, whatever its body', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject({ ...body('text/plain', 'abc'), method: 'PUT', url: '/models' })
  t.equal(answer.statusCode, 405)
  t.equal(answer.json().code, 'METHOD_NOT_ALLOWED')
})

test('a method that an address does not take is METHOD_NOT_ALLOWED, and those that it takes are named', async t => {
  const { app } = await testApp(t)
  for (const [method, url, allowed] of [
    ['GET', '/predict', 'POST'],
    ['PUT', '/predict/?top=1', 'POST'],
    ['DELETE', '/models/shapes', 'GET, HEAD'],
    ['POST', '/v2', 'GET, HEAD'],
    ['GET', '/v2/models/shapes/versions/2/infer', 'POST'],
    ['POST', '/docs/static/index.html', 'GET, HEAD'],
  ] as const) {
    const answer = await app.inject({ ...body('image/png', 'abc'), method, url })
    t.equal(answer.statusCode, 405, url)
    t.equal(answer.headers.allow, allowed)
    t.equal(answer.json().code, 'METHOD_NOT_ALLOWED')
  }
})

test('a slash at the end of an address changes nothing', async t => {
  const { app } = await testApp(t)
  for (const url of ['/v2/', '/models/', '/v2/health/live/', '/v2/models/shapes/']) {
    t.equal((await app.inject(url)).statusCode, 200, url)
  }
  t.equal((await app.inject({ ...image, url: '/predict/' })).statusCode, 200)
})

test('an address that cannot be decoded is REQUEST_MALFORMED', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/models/%zz')
  t.equal(answer.statusCode, 400)
  t.match(answer.json(), { code: 'REQUEST_MALFORMED' })
})

test('an unforeseen error tells the caller nothing but where the log tells more', async t => {
  const { app } = await testApp(t, {
    answer: () => {
      throw new TypeError('secret of /etc/passwd')
    },
  })
  const answer = await app.inject({ ...image, url: '/predict' })
  t.equal(answer.statusCode, 500)
  t.equal(answer.json().code, 'INTERNAL')
  t.notMatch(answer.body, /secret/)
})

test('an unforeseen error of one row tells the caller no more', async t => {
  const { app } = await testApp(t, {
    answer: row =>
      row.bytes.length === 0
        ? { ok: false, error: { code: 'INTERNAL', detail: 'secret of /etc/passwd' } }
        : { ok: false, error: { code: 'IMAGE_MALFORMED', detail: 'Cut short.' } },
  })
  for (const files of [['', 'a'], ['']]) {
    const parts = multipart(files.map(content => ({ filename: 'a.png', content })))
    const answer = await app.inject({ ...parts, url: '/predict' })
    t.equal(answer.statusCode, 500)
    t.equal(answer.json().predictions[0].error.code, 'INTERNAL')
    t.notMatch(answer.body, /secret/)
  }
})
