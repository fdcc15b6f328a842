import { isIP } from 'node:net'

/** One line of the configuration: how its variable is called, what it may hold, and what that means. */
export interface Setting<T> {
  readonly variable: string
  /** What the variable may hold, in words, for the documentation. */
  readonly type: string
  /** Holds where the variable is absent or empty; null where absence means something of its own. */
  readonly default: T
  /** The default in words, where its value would not say enough. */
  readonly defaultMeaning?: string
  readonly meaning: string
  /** What it holds is never shown. */
  readonly secret?: true
  /** @throws Error whose message says what the variable may hold instead */
  readonly parse: (text: string) => T
}

/** What every kind of setting is made of; D is null where the absence of the variable means something of its own. */
interface Options<D> {
  readonly variable: string
  readonly default: D
  readonly defaultMeaning?: string
  readonly meaning: string
}

export function text<D extends string | null>(options: Options<D>): Setting<string | D> {
  return { ...options, type: 'text', parse: stated => stated }
}

interface NumberOptions<D> extends Options<D> {
  readonly range: readonly [least: number, most: number]
}

export function integer<D extends number | null>({
  range,
  ...options
}: NumberOptions<D>): Setting<number | D> {
  const [least, most] = range
  return {
    ...options,
    type: `integer, ${least} … ${most}`,
    parse(stated) {
      const value = /^\d{1,15}$/.test(stated) ? Number(stated) : Number.NaN
      if (value >= least && value <= most) return value
      throw new Error(`must be an integer from ${least} to ${most}`)
    },
  }
}

export function seconds(options: NumberOptions<number>): Setting<number> {
  return decimal(options, 'seconds')
}

export function milliseconds(options: NumberOptions<number>): Setting<number> {
  return decimal(options, 'milliseconds')
}

function decimal({ range: [least, most], ...options }: NumberOptions<number>, unit: string): Setting<number> {
  return {
    ...options,
    type: `number, ${least} … ${most}`,
    parse(stated) {
      const value = /^\d{1,9}(\.\d{1,9})?$/.test(stated) ? Number(stated) : Number.NaN
      if (value >= least && value <= most) return value
      throw new Error(`must be a number of ${unit} from ${least} to ${most}`)
    },
  }
}

interface ChoiceOptions<T extends string, D> extends Options<D> {
  readonly choices: readonly T[]
}

export function choice<const T extends string, const D extends string | null>({
  choices,
  ...options
}: ChoiceOptions<T, D>): Setting<T | D> {
  return {
    ...options,
    type: choices.map(name => `\`${name}\``).join(', '),
    parse(stated) {
      const found = choices.find(name => name === stated)
      if (found !== undefined) return found
      throw new Error(`must be one of ${choices.join(', ')}`)
    },
  }
}

export function toggle(options: Options<boolean>): Setting<boolean> {
  return {
    ...options,
    type: '`on`, `off`',
    parse(stated) {
      if (stated === 'on' || stated === 'off') return stated === 'on'
      throw new Error('must be on or off')
    },
  }
}

export function proxies(options: Options<readonly string[]>): Setting<readonly string[]> {
  return {
    ...options,
    type: 'addresses and ranges, such as `10.0.0.0/8`, separated by commas',
    parse(stated) {
      const ranges = stated.split(',').map(range => range.trim())
      if (ranges.every(isRange)) return ranges
      throw new Error('must be IP addresses, or ranges of them, separated by commas')
    },
  }
}

function isRange(text: string): boolean {
  const [, address, prefix] = /^([\da-f.:]+)(?:\/([1-9]\d{0,2}))?$/i.exec(text) ?? []
  const version = isIP(address ?? '')
  return version !== 0 && Number(prefix ?? 1) <= (version === 4 ? 32 : 128)
}

export function keys(
  options: Pick<Setting<readonly string[]>, 'variable' | 'type' | 'meaning' | 'parse'>,
): Setting<readonly string[]> {
  return { ...options, default: [], defaultMeaning: 'none', secret: true }
}
