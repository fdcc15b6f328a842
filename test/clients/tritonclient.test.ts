import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { parseModel } from '../../src/engine/format.ts'
import { referenceLayer } from '../serving/layer-reference.ts'
import { tinyFile, tinyLogits, tinyRows } from '../serving/tiny.ts'
import { tritonclient } from './installed.ts'
import { runBeside } from './python.ts'
import { adminKey, tinyServer } from './server.ts'

test('tritonclient, unmodified, does against the server all that is offered', {
  skip: tritonclient.skip,
}, async t => {
  const folder = t.testdir()
  const server = await tinyServer(join(folder, 'models'))
  t.teardown(() => server.stop())
  const rows = tinyRows.slice(0, 5)
  const tiny = parseModel(tinyFile)
  const expected = join(folder, 'expected.json')
  writeFileSync(
    expected,
    JSON.stringify({
      images: rows.map(row => [...row.bytes]),
      logits: rows.map((_, row) => tinyLogits(row, 3)),
      layers: Object.fromEntries(
        tiny.operations.map(({ name }) => [
          name,
          rows.map(row => referenceLayer(tiny, row.bytes, name, 3).numbers),
        ]),
      ),
    }),
  )
  const { status, output } = await runBeside(
    tritonclient.path!,
    ['-m', 'unittest', '--verbose', 'tritonclient_test'],
    {
      PYTHONPATH: fileURLToPath(new URL('.', import.meta.url)),
      PYTHONDONTWRITEBYTECODE: '1',
      XNORD_ADDRESS: new URL(server.url).host,
      XNORD_ADMIN_KEY: adminKey,
      XNORD_EXPECTED: expected,
    },
  )
  t.equal(status, 0, output)
  t.match(output, /Ran \d\d tests/)
})
