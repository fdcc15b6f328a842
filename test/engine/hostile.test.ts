import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseModel } from '../../src/engine/format.ts'
import { planModel } from '../../src/engine/plan.ts'
import { XnordError } from '../../src/errors.ts'
import { tinyBytes } from './load.ts'
import { assemble, dataOf, headerText, rewrite, withDigest } from './rewrite.ts'

const tiny = tinyBytes()

/** Whatever the bytes are, they are a model, or an error with a code of its own. */
function meets(bytes: Uint8Array): 'model' | 'refused' {
  try {
    planModel(parseModel(bytes), { slots: 1, maxRows: 1 })
    return 'model'
  } catch (error) {
    assert.ok(error instanceof XnordError, String(error))
    assert.match(error.code, /^MODEL_/)
    assert.notEqual(error.message, '')
    return 'refused'
  }
}

t.test('any bit flipped anywhere is refused', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(tiny.length * 8 - 1), bit => {
        const bytes = tiny.slice()
        bytes[bit >> 3] ^= 1 << (bit & 7)
        assert.equal(meets(bytes), 'refused')
      }),
      { numRuns: 4000 },
    ),
  )
})

t.test('any bytes are refused with a code', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (data, header) => {
        assert.equal(meets(data), 'refused')
        assert.equal(meets(assemble(header, data)), 'refused')
      }),
    ),
  )
})

t.test(
  'a header with a few bytes changed and the digest made right is a model or refused with a code',
  async t => {
    const text = Buffer.from(headerText(tiny))
    const data = dataOf(tiny)
    const edit = fc.tuple(fc.nat(text.length - 1), fc.integer({ min: 0x20, max: 0x7e }))
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), edits => {
          const header = Buffer.from(text)
          for (const [index, byte] of edits) header[index] = byte
          meets(assemble(header, data))
        }),
        { numRuns: 1500 },
      ),
    )
  },
)

t.test('a description with any part replaced by any JSON is a model or refused with a code', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.nat(), replacement(), fc.boolean(), (pick, value, inTensors) => {
        const file = rewrite(tiny, ({ xnord, tensors }) =>
          replacePart(inTensors ? tensors : xnord, pick, value),
        )
        meets(file)
      }),
      { numRuns: 1500 },
    ),
  )
})

t.test('data with bytes changed and the digest made right are a model or refused with a code', async t => {
  const begin = tiny.length - dataOf(tiny).length
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: begin, max: tiny.length - 1 }), fc.nat(255), (index, byte) => {
        const bytes = tiny.slice()
        bytes[index] = byte
        meets(withDigest(bytes))
      }),
      { numRuns: 500 },
    ),
  )
})

function replacement(): fc.Arbitrary<unknown> {
  const numbers = fc.constantFrom(0, -1, 1, 2, 3, 7, 64, 4096, 2 ** 31, 2 ** 53, 0.5, 1e300)
  const words = fc.constantFrom(
    'image',
    'logits',
    'conv1',
    'floats',
    'bits',
    'shift',
    'ternary',
    'sign',
    'U8',
    '',
  )
  return fc.oneof(numbers, words, fc.jsonValue())
}

/** Replaces one of all the values below a value. */
function replacePart(root: Record<string, unknown>, pick: number, value: unknown): void {
  const places: (readonly [Record<string, unknown>, string])[] = []
  const visit = (parent: Record<string, unknown>): void => {
    for (const [key, child] of Object.entries(parent)) {
      places.push([parent, key])
      if (typeof child === 'object' && child !== null) visit(child as Record<string, unknown>)
    }
  }
  visit(root)
  const [parent, key] = places[pick % places.length]
  parent[key] = value
}
