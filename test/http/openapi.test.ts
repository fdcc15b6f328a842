import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { test } from 'tap'
import { square } from './fake-service.ts'
import { multipart, testApp } from './helper.ts'

interface Operation {
  readonly responses: Readonly<Record<string, { readonly headers: object; readonly content: object }>>
}

const image = multipart([{ filename: 'a.png', content: 'the bytes' }])

test('/openapi.json is a valid OpenAPI 3.1 document', async t => {
  const { app } = await testApp(t)
  const document = (await app.inject('/openapi.json')).json()
  t.match(document, { openapi: /^3\.1\./, info: { title: 'xnord', version: /^\d/ } })
  t.match(await new Validator().validate(document), { valid: true })
})

test('every route is documented, but for the page and the documentation itself', async t => {
  const { app } = await testApp(t)
  const { paths } = (await app.inject('/openapi.json')).json()
  const documented = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  t.same(documented.sort(), [
    'GET /metrics',
    'GET /models',
    'GET /models/{name}',
    'GET /v2',
    'GET /v2/health/live',
    'GET /v2/health/ready',
    'GET /v2/models/stats',
    'GET /v2/models/{name}',
    'GET /v2/models/{name}/config',
    'GET /v2/models/{name}/ready',
    'GET /v2/models/{name}/stats',
    'GET /v2/models/{name}/versions/{version}',
    'GET /v2/models/{name}/versions/{version}/config',
    'GET /v2/models/{name}/versions/{version}/ready',
    'GET /v2/models/{name}/versions/{version}/stats',
    'POST /compare',
    'POST /predict',
    'POST /v2/models/{name}/infer',
    'POST /v2/models/{name}/versions/{version}/infer',
    'POST /v2/repository/index',
    'POST /v2/repository/models/{name}/load',
    'POST /v2/repository/models/{name}/unload',
  ])
})

test('routes that ask for a key say so, and those that do not ask do not', async t => {
  const securityOf = async (keys: readonly string[]) => {
    const { app } = await testApp(t, { config: { keys } })
    const document = (await app.inject('/openapi.json')).json()
    t.match(document.components.securitySchemes, { key: { type: 'http', scheme: 'bearer' } })
    t.match(await new Validator().validate(document), { valid: true })
    const { paths } = document
    return [
      paths['/predict'].post.security,
      paths['/v2/models/{name}'].get.security,
      paths['/v2/health/live'].get.security,
      paths['/v2/repository/models/{name}/load'].post.security,
    ]
  }
  const asked = [{ key: [] }]
  t.same(await securityOf(['predict-0123456789']), [asked, asked, undefined, asked])
  t.same(await securityOf([]), [undefined, undefined, undefined, asked])
})

test('bodies that are read as streams are documented', async t => {
  const { app } = await testApp(t)
  const { paths } = (await app.inject('/openapi.json')).json()
  t.same(Object.keys(paths['/predict'].post.requestBody.content).sort(), [
    'application/octet-stream',
    'image/jpeg',
    'image/png',
    'image/webp',
    'multipart/form-data',
  ])
})

test('no answer is documented as anything at all, and temporary ones say when to ask again', async t => {
  const { app } = await testApp(t)
  const { paths } = (await app.inject('/openapi.json')).json()
  for (const [path, methods] of Object.entries<Record<string, Operation>>(paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const [status, { headers, content }] of Object.entries(responses)) {
        t.match(status, /^\d{3}$/, path)
        t.equal(Object.keys(content).length > 0, true, `${path} ${status}`)
        t.equal('Retry-After' in headers, ['429', '503'].includes(status), `${path} ${status}`)
        t.equal('WWW-Authenticate' in headers, status === '401', `${path} ${status}`)
      }
    }
  }
  t.ok('Server-Timing' in paths['/predict'].post.responses[200].headers)
  t.same(Object.keys(paths['/v2/models/{name}/infer'].post.requestBody.content), [
    'application/json',
    'application/octet-stream',
  ])
  t.match(paths['/v2/models/{name}/infer'].post.parameters, [
    { in: 'path', name: 'name', required: true },
    { in: 'header', name: 'Inference-Header-Content-Length', required: false },
  ])
  t.equal(paths['/v2/repository/index'].post.requestBody.required, false)
})

test('every answer is of the schema that the document gives for it', async t => {
  const { app } = await testApp(t, {
    answer: (row, request) =>
      row.bytes.length === 0
        ? { ok: false, error: { code: 'IMAGE_EMPTY', detail: 'Empty.' } }
        : square(request),
  })
  const document = (await app.inject('/openapi.json')).json()
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ ...document, $id: 'document' })

  const half = multipart([
    { filename: 'a.png', content: 'a' },
    { filename: 'b.png', content: '' },
  ])
  const none = multipart([{ filename: 'b.png', content: '' }])
  const payload = { inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 1], data: [1, 2, 3, 4] }] }
  const infer = { method: 'POST' as const, url: '/v2/models/shapes/infer' }
  const answers = [
    { schema: 'PredictionAnswer', request: { ...image, url: '/predict' } },
    { schema: 'PredictionAnswer', request: { ...half, url: '/predict' } },
    { schema: 'BaselinePredictionAnswer', request: { ...half, url: '/predict?network=baseline' } },
    { schema: 'ComparisonAnswer', request: { ...half, url: '/compare' } },
    { schema: 'Problem', request: { ...none, url: '/predict' } },
    { schema: 'Problem', request: { ...image, url: '/predict?top=0' } },
    { schema: 'ModelList', request: { url: '/models' } },
    { schema: 'Model', request: { url: '/models/shapes' } },
    { schema: 'ServerMetadata', request: { url: '/v2' } },
    { schema: 'ModelMetadata', request: { url: '/v2/models/shapes' } },
    { schema: 'ModelConfiguration', request: { url: '/v2/models/shapes/config' } },
    { schema: 'Statistics', request: { url: '/v2/models/stats' } },
    { schema: 'RepositoryIndex', request: { method: 'POST' as const, url: '/v2/repository/index' } },
    { schema: 'InferResponse', request: { ...infer, payload } },
    { schema: 'InferenceError', request: { ...infer, payload: {} } },
  ]
  for (const { schema, request } of answers) {
    const answer = await app.inject(request)
    const validate = ajv.getSchema(`document#/components/schemas/${schema}`)!
    t.ok(
      validate(answer.json()),
      `${schema}: ${JSON.stringify(validate.errors)} ${answer.body.slice(0, 200)}`,
    )
  }
})

test('/docs shows the document', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/docs')
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^text\/html/)
})

test('/docs has all that it loads, and shows the same document', async t => {
  const { app } = await testApp(t)
  for (const [file, type] of [
    ['swagger-ui.css', 'text/css'],
    ['swagger-ui-bundle.js', 'application/javascript'],
    ['swagger-initializer.js', 'application/javascript'],
  ] as const) {
    const answer = await app.inject(`/docs/static/${file}`)
    t.equal(answer.statusCode, 200, file)
    t.equal(String(answer.headers['content-type']).split(';')[0], type, file)
  }
  t.same((await app.inject('/docs/json')).json(), (await app.inject('/openapi.json')).json())
})

test('what /docs does not have is no route', async t => {
  const { app } = await testApp(t)
  const answer = await app.inject('/docs/nothing')
  t.equal(answer.statusCode, 404)
  t.equal(answer.json().code, 'ROUTE_UNKNOWN')
})
