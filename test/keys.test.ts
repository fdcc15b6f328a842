import fc from 'fast-check'
import { test } from 'tap'
import { readConfig, withoutSecrets } from '../src/config.ts'
import { parseKeys, readKeys } from '../src/keys.ts'

const first = 'first-key-0123456789'
const second = 'second/key+ABC=='

test('a list of keys has commas between them, and maybe spaces', t => {
  t.same(parseKeys(`${first}, ${second}`), [first, second])
  t.end()
})

test('a file of keys has one a line, with remarks and empty lines between', t => {
  const folder = t.testdir({ keys: `# for the page\r\n${first}\r\n\n  ${second}\n` })
  t.same(readKeys(`${folder}/keys`), [first, second])
  t.end()
})

test('what is too short, or no bearer token, is refused by its place and never shown', t => {
  for (const wrong of [
    'short-secret-15',
    'secret with blanks',
    'sécret-0123456789',
    '',
    'secret='.repeat(80),
  ]) {
    t.throws(
      () => parseKeys(`${first},${wrong}`),
      { message: /^key 2 of the list must be 16 to 512/ },
      `"${wrong}"`,
    )
    try {
      parseKeys(`${first},${wrong}`)
    } catch (error) {
      t.notMatch((error as Error).message, /secret|first/)
    }
  }
  const file = `${t.testdir({ keys: `${first}\nshort-secret` })}/keys`
  t.throws(() => readKeys(file), { message: `line 2 of ${file} must be 16 to 512` })
  t.end()
})

test('a file without a key is a mistake: it must not leave the server open', t => {
  const folder = t.testdir({ keys: '# none yet\n\n' })
  t.throws(() => readKeys(`${folder}/keys`), { message: `${folder}/keys holds no key` })
  t.end()
})

test('a file that cannot be read is named with the reason', t => {
  t.throws(() => readKeys('/no/such/file'), { message: '/no/such/file cannot be read: ENOENT' })
  t.end()
})

test('the configuration collects keys from variables and files', t => {
  const folder = t.testdir({ keys: second })
  const config = readConfig({ XNORD_KEYS: first, XNORD_ADMIN_KEYS_FILE: `${folder}/keys` })
  t.match(config, { keys: [first], keysFile: [], adminKeys: [], adminKeysFile: [second] })
  t.end()
})

test('a key for predictions cannot administrate as well', t => {
  t.throws(() => readConfig({ XNORD_KEYS: first, XNORD_ADMIN_KEYS: `${second},${first}` }), {
    code: 'CONFIGURATION_INVALID',
    message: 'XNORD_ADMIN_KEYS: a key for administration must not be one for predictions, too',
  })
  t.end()
})

test('the configuration that is logged counts keys and shows none', t => {
  const config = readConfig({ XNORD_KEYS: `${first},${second}`, XNORD_PORT: '81' })
  t.match(withoutSecrets(config), { port: 81, keys: ['…', '…'], adminKeys: [] })
  t.notMatch(JSON.stringify(withoutSecrets(config)), /first|second/)
  t.end()
})

test('a mistake in a variable of keys does not repeat what it holds', t => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 15, unit: fc.constantFrom('!', 'S', 'E') }), text => {
      try {
        readConfig({ XNORD_KEYS: text })
        return false
      } catch (error) {
        return /^XNORD_KEYS: key 1 of the list must be [^!SE]*( A-Z .*)?$/.test((error as Error).message)
      }
    }),
  )
  t.end()
})
