import { backends } from './engine/kernels/kernels.ts'
import { XnordError } from './errors.ts'
import { parseKeys, readKeys } from './keys.ts'
import {
  choice,
  integer,
  keys,
  milliseconds,
  proxies,
  type Setting,
  seconds,
  text,
  toggle,
} from './setting.ts'

const MiB = 2 ** 20

/** The share of `maxHeldBytes` that large bodies may fill; the rest is kept for small ones. */
export const largeBodiesShare = 7 / 8

/** Every setting there is. `docs/configuration.md` is generated from this table. */
export const settings = {
  host: text({
    variable: 'XNORD_HOST',
    default: '127.0.0.1',
    meaning: 'Address to listen on. A container needs `0.0.0.0`.',
  }),
  port: integer({
    variable: 'XNORD_PORT',
    range: [0, 65_535],
    default: 8080,
    meaning: 'TCP port to listen on; 0 takes a free one, which the log names.',
  }),
  models: text({
    variable: 'XNORD_MODELS',
    default: 'models',
    meaning: 'Folder of models: `<name>/<version>/model.safetensors`.',
  }),
  defaultModel: text({
    variable: 'XNORD_DEFAULT_MODEL',
    default: null,
    defaultMeaning: 'the only model, where there is one',
    meaning: 'The model that answers where a request names none.',
  }),
  workers: integer({
    variable: 'XNORD_WORKERS',
    range: [1, 256],
    default: null,
    defaultMeaning: 'one for each core that affinity and cgroup allow',
    meaning: 'Worker threads that decode and compute.',
  }),
  backend: choice({
    variable: 'XNORD_BACKEND',
    choices: backends,
    default: null,
    defaultMeaning: 'the fastest that runs here',
    meaning: 'Forces one implementation of the kernels, see [kernels.md](kernels.md).',
  }),
  keys: keys({
    variable: 'XNORD_KEYS',
    type: 'keys, separated by commas',
    meaning:
      'Whoever asks for predictions must send one of these keys, or of those for administration: `Authorization: Bearer …`. With none here and in the file, everybody may ask. See [operations.md](operations.md).',
    parse: parseKeys,
  }),
  keysFile: keys({
    variable: 'XNORD_KEYS_FILE',
    type: 'path of a file, one key a line',
    meaning: 'More keys for predictions; empty lines and those that begin with `#` are passed over.',
    parse: readKeys,
  }),
  adminKeys: keys({
    variable: 'XNORD_ADMIN_KEYS',
    type: 'keys, separated by commas',
    meaning:
      'Whoever loads and unloads models must send one of these keys. With none here and in the file, nobody may.',
    parse: parseKeys,
  }),
  adminKeysFile: keys({
    variable: 'XNORD_ADMIN_KEYS_FILE',
    type: 'path of a file, one key a line',
    meaning: 'More keys for administration.',
    parse: readKeys,
  }),
  rateLimit: integer({
    variable: 'XNORD_RATE_LIMIT',
    range: [0, 1_000_000],
    default: 0,
    meaning:
      'Requests a second that one key may make, or one address by requests without a key that is right; 0 sets no limit. What comes beyond is refused with 429.',
  }),
  trustedProxies: proxies({
    variable: 'XNORD_TRUSTED_PROXIES',
    default: [],
    defaultMeaning: 'none',
    meaning:
      'Proxies whose header `X-Forwarded-For` is believed, so that the limit of requests is for the addresses behind them.',
  }),
  queueRows: integer({
    variable: 'XNORD_QUEUE_ROWS',
    range: [1, 2 ** 24],
    default: 4096,
    meaning:
      'Rows that may wait at one time for each loaded version of a model, each counted once a member (and at its cost for the baseline); those in a worker no longer count. What comes beyond is refused with 503.',
  }),
  maxLag: milliseconds({
    variable: 'XNORD_MAX_LAG',
    range: [0, 10_000],
    default: 10,
    meaning:
      'Milliseconds that the main thread may be behind with the reading of what has arrived. Requests for predictions that come to be read later are refused with 503, before anything is made of them; 0 refuses none.',
  }),
  maxBatchRows: integer({
    variable: 'XNORD_MAX_BATCH_ROWS',
    range: [1, 65_536],
    default: null,
    defaultMeaning: "the model's own",
    meaning: 'Rows that a worker computes at once, at most, where a model could take more.',
  }),
  batchDelay: milliseconds({
    variable: 'XNORD_BATCH_DELAY',
    range: [0, 1000],
    default: 0,
    meaning:
      'Milliseconds for which rows may be held back, though a worker is free, so that others can join their batch. Without it, what waits leaves when a worker is free.',
  }),
  modelsWatch: seconds({
    variable: 'XNORD_MODELS_WATCH',
    range: [0, 86_400],
    default: 0,
    meaning:
      'Seconds between two looks at the models folder, whose changes are then loaded, and what is gone unloaded; 0 never looks.',
  }),
  maxFiles: integer({
    variable: 'XNORD_MAX_FILES',
    range: [1, 65_536],
    default: 256,
    meaning: 'Files in one multipart request.',
  }),
  maxFileBytes: integer({
    variable: 'XNORD_MAX_FILE_BYTES',
    range: [1, 2 ** 30],
    default: 8 * MiB,
    meaning: 'Bytes of one image file.',
  }),
  maxBodyBytes: integer({
    variable: 'XNORD_MAX_BODY_BYTES',
    range: [1, 2 ** 30],
    default: 32 * MiB,
    meaning: 'Bytes of one request body.',
  }),
  maxJsonBytes: integer({
    variable: 'XNORD_MAX_JSON_BYTES',
    range: [1, 2 ** 28],
    default: 8 * MiB,
    meaning: 'Bytes of one JSON request body: parsing it takes several times as much memory.',
  }),
  maxHeldBytes: integer({
    variable: 'XNORD_MAX_HELD_BYTES',
    range: [1, 2 ** 40],
    default: 256 * MiB,
    meaning:
      'Bytes of request bodies held at one time, all requests together; an eighth is kept for bodies up to 64 KiB. What comes beyond is refused with 503.',
  }),
  maxPixels: integer({
    variable: 'XNORD_MAX_PIXELS',
    range: [1, 2 ** 28],
    default: 2 ** 24,
    meaning: 'Pixels (width × height) of one image, as its header states them.',
  }),
  maxConnections: integer({
    variable: 'XNORD_MAX_CONNECTIONS',
    range: [1, 2 ** 20],
    default: 4096,
    meaning: 'Connections open at one time. What comes beyond is closed at once.',
  }),
  keepAliveSeconds: seconds({
    variable: 'XNORD_KEEP_ALIVE_SECONDS',
    range: [1, 3600],
    default: 72,
    meaning:
      'Seconds that a connection without a request is kept. Behind a load balancer: more than it keeps its own.',
  }),
  requestSeconds: seconds({
    variable: 'XNORD_REQUEST_SECONDS',
    range: [1, 3600],
    default: 60,
    meaning:
      'Seconds within which a request must have arrived whole, and after which a client that takes nothing of its answer is cut off.',
  }),
  drainSeconds: seconds({
    variable: 'XNORD_DRAIN_SECONDS',
    range: [0, 3600],
    default: 0,
    meaning:
      'Seconds between SIGTERM, which turns readiness off, and the end of listening. Behind a load balancer: a little more than its probes need to notice.',
  }),
  shutdownSeconds: seconds({
    variable: 'XNORD_SHUTDOWN_SECONDS',
    range: [1, 3600],
    default: 30,
    meaning:
      'Seconds after the end of listening within which the requests under way are answered; those left are cut off, and the process exits with 1.',
  }),
  logLevel: choice({
    variable: 'XNORD_LOG_LEVEL',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
    meaning: 'The least severe level that is logged.',
  }),
  logRequests: toggle({
    variable: 'XNORD_LOG_REQUESTS',
    default: true,
    defaultMeaning: '`on`',
    meaning: 'One line of the log for each request, of the level `info`, see [operations.md](operations.md).',
  }),
} as const satisfies Record<string, Setting<unknown>>

type ValueOf<S> = S extends Setting<infer T> ? T : never

export type Config = { readonly [K in keyof typeof settings]: ValueOf<(typeof settings)[K]> }

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The configuration that the environment states, frozen.
 *
 * @throws CONFIGURATION_INVALID, whose detail lists every mistake, one a line
 */
export function readConfig(environment: Environment): Config {
  const mistakes: string[] = []
  const values: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries<Setting<unknown>>(settings)) {
    const stated = environment[setting.variable]
    values[key] = setting.default
    if (stated === undefined || stated === '') continue
    try {
      values[key] = setting.parse(stated)
    } catch (error) {
      const held = setting.secret ? '' : `, not ${JSON.stringify(stated)}`
      mistakes.push(`${setting.variable}: ${(error as Error).message}${held}`)
    }
  }
  mistakes.push(...unknownVariables(environment))
  const config = values as Config
  if (mistakes.length === 0) mistakes.push(...contradictions(config))
  if (mistakes.length > 0) throw new XnordError('CONFIGURATION_INVALID', mistakes.join('\n'))
  return Object.freeze(config)
}

/** The configuration as it may be logged: of secrets only how many there are. */
export function withoutSecrets(config: Config): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries<Setting<unknown>>(settings).map(([key, { secret }]) => {
      const value = config[key as keyof Config]
      return [key, secret ? (value as readonly string[]).map(() => '…') : value]
    }),
  )
}

function unknownVariables(environment: Environment): readonly string[] {
  const known = new Set(Object.values(settings).map(setting => setting.variable))
  return Object.keys(environment)
    .filter(variable => variable.startsWith('XNORD_') && !known.has(variable))
    .sort()
    .map(
      variable =>
        `${variable}: there is no such setting${serviceLink.test(variable) ? serviceLinkAdvice : ''}`,
    )
}

/** Kubernetes describes a service that is called xnord to every container in such variables. */
const serviceLink = /^XNORD_(SERVICE_|PORT_)/
const serviceLinkAdvice = ' (variables of a Kubernetes service; enableServiceLinks: false keeps them away)'

function contradictions(config: Config): readonly string[] {
  const mistakes: string[] = []
  if (config.maxFileBytes > config.maxBodyBytes) {
    mistakes.push('XNORD_MAX_FILE_BYTES: must not exceed XNORD_MAX_BODY_BYTES')
  }
  if (Math.max(config.maxBodyBytes, config.maxJsonBytes) > config.maxHeldBytes * largeBodiesShare) {
    mistakes.push(
      'XNORD_MAX_HELD_BYTES: seven eighths of it must hold one body of XNORD_MAX_BODY_BYTES, or one of XNORD_MAX_JSON_BYTES',
    )
  }
  const predicting = new Set([...config.keys, ...config.keysFile])
  if ([...config.adminKeys, ...config.adminKeysFile].some(key => predicting.has(key))) {
    mistakes.push('XNORD_ADMIN_KEYS: a key for administration must not be one for predictions, too')
  }
  return mistakes
}
