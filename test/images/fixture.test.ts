import { readFileSync } from 'node:fs'
import t from 'tap'
import type { InputSpec } from '../../src/engine/graph.ts'
import { decodeImage } from '../../src/images/decode.ts'

interface Case {
  readonly name: string
  readonly input: InputSpec
  /** Base64, as pixels are. */
  readonly file: string
  /** What training gets of the file; null where it refuses it. */
  readonly pixels: string | null
}

/** Written by training/tests/make_images.py. */
const cases = JSON.parse(
  readFileSync(new URL('../fixtures/images.json', import.meta.url), 'utf8'),
) as readonly Case[]

t.test('a network gets the pixels that training gives it of the same file', async t => {
  t.ok(cases.length > 40)
  for (const { name, input, file, pixels } of cases) {
    const out = new Uint8Array(input.height * input.width * input.channels)
    const decoded = decodeImage(Buffer.from(file, 'base64'), input, 2 ** 24, out)
    if (pixels === null) await t.rejects(decoded, { code: /^IMAGE_/ }, name)
    else {
      await decoded
      t.equal(Buffer.from(out).toString('base64'), pixels, name)
    }
  }
})
