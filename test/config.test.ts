import fc from 'fast-check'
import { test } from 'tap'
import { readConfig, settings } from '../src/config.ts'
import { XnordError } from '../src/errors.ts'

/** The lines of the mistakes that an environment makes. */
function mistakes(environment: Record<string, string>): readonly string[] {
  try {
    readConfig(environment)
  } catch (error) {
    if (error instanceof XnordError && error.code === 'CONFIGURATION_INVALID')
      return error.message.split('\n')
    throw error
  }
  return []
}

test('an empty environment gives the defaults', t => {
  t.match(readConfig({}), {
    host: '127.0.0.1',
    port: 8080,
    models: 'models',
    defaultModel: null,
    workers: null,
    backend: null,
    logLevel: 'info',
  })
  t.end()
})

test('variables of the environment override the defaults', t => {
  const config = readConfig({
    XNORD_HOST: '0.0.0.0',
    XNORD_PORT: '0',
    XNORD_DEFAULT_MODEL: 'mnist',
    XNORD_WORKERS: '3',
    XNORD_BACKEND: 'wasm',
    XNORD_DRAIN_SECONDS: '2.5',
    PATH: '/bin',
  })
  t.match(config, {
    host: '0.0.0.0',
    port: 0,
    defaultModel: 'mnist',
    workers: 3,
    backend: 'wasm',
    drainSeconds: 2.5,
  })
  t.end()
})

test('an empty variable counts as absent', t => {
  t.equal(readConfig({ XNORD_PORT: '' }).port, 8080)
  t.end()
})

test('the configuration cannot be changed', t => {
  t.ok(Object.isFrozen(readConfig({})))
  t.end()
})

test('all mistakes are reported at once, each with its variable, what it may hold, and what it holds', t => {
  t.same(
    mistakes({ XNORD_PORT: '65536', XNORD_BACKEND: 'cuda', XNORD_DRAIN_SECONDS: '-1', XNORD_WORKER: '2' }),
    [
      'XNORD_PORT: must be an integer from 0 to 65535, not "65536"',
      'XNORD_BACKEND: must be one of avx512, avx512bw, avx2, neon, wasm, scalar, not "cuda"',
      'XNORD_DRAIN_SECONDS: must be a number of seconds from 0 to 3600, not "-1"',
      'XNORD_WORKER: there is no such setting',
    ],
  )
  t.end()
})

test('a port that Kubernetes has put there for a service of this name is explained', t => {
  t.match(
    mistakes({ XNORD_PORT: 'tcp://10.0.0.1:80', XNORD_SERVICE_HOST: '10.0.0.1' }).join('\n'),
    /enableServiceLinks/,
  )
  t.end()
})

test('limits that contradict each other are mistakes', t => {
  t.same(mistakes({ XNORD_MAX_FILE_BYTES: '2000', XNORD_MAX_BODY_BYTES: '1000' }), [
    'XNORD_MAX_FILE_BYTES: must not exceed XNORD_MAX_BODY_BYTES',
  ])
  t.same(mistakes({ XNORD_MAX_HELD_BYTES: String(36 * 2 ** 20) }), [
    'XNORD_MAX_HELD_BYTES: seven eighths of it must hold one body of XNORD_MAX_BODY_BYTES, or one of XNORD_MAX_JSON_BYTES',
  ])
  t.end()
})

test('requests are logged or not, and nothing between', t => {
  t.equal(readConfig({}).logRequests, true)
  t.equal(readConfig({ XNORD_LOG_REQUESTS: 'off' }).logRequests, false)
  t.equal(readConfig({ XNORD_LOG_REQUESTS: 'on' }).logRequests, true)
  t.same(mistakes({ XNORD_LOG_REQUESTS: 'false' }), ['XNORD_LOG_REQUESTS: must be on or off, not "false"'])
  t.end()
})

test('proxies are addresses, or ranges of them', t => {
  const ranges = '127.0.0.1, 10.0.0.0/8,::1,2001:db8::/32'
  t.same(readConfig({ XNORD_TRUSTED_PROXIES: ranges }).trustedProxies, [
    '127.0.0.1',
    '10.0.0.0/8',
    '::1',
    '2001:db8::/32',
  ])
  for (const text of [
    'proxy',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '1.2.3.4,',
    'fe80::1%a',
  ]) {
    t.match(mistakes({ XNORD_TRUSTED_PROXIES: text }), [/^XNORD_TRUSTED_PROXIES: must be IP/], text)
  }
  t.end()
})

test('a number is taken only if it is written as one, within its range', t => {
  for (const text of [
    '1e3',
    '0x10',
    ' 8',
    '8 ',
    '+8',
    '-1',
    '8.5',
    'NaN',
    'Infinity',
    '99999999999999999999',
  ]) {
    t.equal(mistakes({ XNORD_PORT: text }).length, 1, JSON.stringify(text))
  }
  t.end()
})

test('whatever a variable holds, the answer is a configuration or CONFIGURATION_INVALID', t => {
  const variable = fc.constantFrom(...Object.values(settings).map(setting => setting.variable))
  fc.assert(
    fc.property(fc.dictionary(variable, fc.string()), environment => {
      const lines = mistakes(environment)
      if (lines.length === 0) return readConfig(environment).port <= 65_535
      return lines.every(line => line.startsWith('XNORD_'))
    }),
  )
  t.end()
})
