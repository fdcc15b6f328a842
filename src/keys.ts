import { readFileSync } from 'node:fs'

/** What a bearer token may be made of (RFC 6750, section 2.1), and long enough not to be guessed. */
const pattern = /^(?=.{16,512}$)[A-Za-z0-9._~+/-]+=*$/
const shape = '16 to 512 of the characters A-Z a-z 0-9 - . _ ~ + / ='

/**
 * The keys of a list.
 *
 * @param text keys with commas between them
 * @throws Error that tells which of them is none, and never what it is
 */
export function parseKeys(text: string): readonly string[] {
  return check(
    text.split(',').map((key, index) => ({ key: key.trim(), place: `key ${index + 1} of the list` })),
  )
}

/**
 * The keys of a file.
 *
 * @param path of a file with one key a line; empty lines and those that begin with # are passed over
 * @throws Error that tells what is wrong with the file, and never what it holds
 */
export function readKeys(path: string): readonly string[] {
  const keys = read(path)
    .split('\n')
    .map((line, index) => ({ key: line.trim(), place: `line ${index + 1} of ${path}` }))
    .filter(({ key }) => key !== '' && !key.startsWith('#'))
  // An empty file must not open the server that it was to close.
  if (keys.length === 0) throw new Error(`${path} holds no key`)
  return check(keys)
}

function check(keys: readonly { readonly key: string; readonly place: string }[]): readonly string[] {
  for (const { key, place } of keys) {
    if (!pattern.test(key)) throw new Error(`${place} must be ${shape}`)
  }
  return keys.map(({ key }) => key)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}
