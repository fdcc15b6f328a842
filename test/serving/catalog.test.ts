import { test } from 'tap'
import { Catalog } from '../../src/serving/catalog.ts'
import type { ServedModel } from '../../src/serving/types.ts'

function model(name: string, version: number): ServedModel {
  return {
    name,
    version,
    digest: '',
    backend: 'wasm',
    input: { height: 1, width: 1, channels: 1, resize: 'stretch' },
    labels: ['a'],
    layers: [],
    members: 1,
    defaultMembers: 1,
    hasBaseline: false,
    maxRows: 1,
    wordOperations: 1,
    bytes: { model: 1, baseline: null },
    provenance: {},
  }
}

const [a1, a2, b7] = [model('a', 1), model('a', 2), model('b', 7)]
const several = new Catalog([b7, a2, a1], undefined)

test('models are listed by name, then version', async t => {
  t.same(several.models, [a1, a2, b7])
})

test('without a version the highest answers', async t => {
  t.equal(several.find('a', undefined), a2)
  t.equal(several.find('a', 1), a1)
})

test('without a name the only model answers, in the version that was asked for', async t => {
  const one = new Catalog([a1, a2], 'b')
  t.equal(one.find(undefined, undefined), a2)
  t.equal(one.find(undefined, 1), a1)
})

test('without a name the default answers where there are several', async t => {
  t.equal(new Catalog([a1, b7], 'b').find(undefined, undefined), b7)
})

test('without a name and a default the names are told', async t => {
  t.throws(() => several.find(undefined, undefined), {
    code: 'MODEL_AMBIGUOUS',
    message: 'Name one of: a, b.',
  })
})

test('a default that is not loaded is unknown', async t => {
  t.throws(() => new Catalog([a1, b7], 'c').find(undefined, undefined), {
    code: 'MODEL_UNKNOWN',
    message: /"c"/,
  })
})

test('a name or version that is not loaded is unknown', async t => {
  t.throws(() => several.find('c', undefined), { code: 'MODEL_UNKNOWN' })
  t.throws(() => several.find('a', 3), { code: 'VERSION_UNKNOWN', message: /1, 2; not 3/ })
})

test('names of the language are not names of models', async t => {
  for (const name of ['__proto__', 'constructor', 'toString', '', '../a', 'a/1']) {
    t.throws(() => several.find(name, undefined), { code: 'MODEL_UNKNOWN' }, name)
  }
})

test('a hostile name is told shortened and without control characters', async t => {
  const name = `\u001b[31m${'x'.repeat(10_000)}`
  t.throws(() => several.find(name, undefined), { message: /^No model "\\u001b\[31mx{59}…" is loaded/ })
})

test('where nothing is loaded nothing is found, and that is said', async t => {
  const none = new Catalog([], 'a')
  t.throws(() => none.find(undefined, undefined), { code: 'MODEL_UNKNOWN', message: /No model is loaded/ })
  t.throws(() => none.find('a', undefined), { code: 'MODEL_UNKNOWN', message: /there are: none/ })
})
