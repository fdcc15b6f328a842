import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { test } from 'tap'
import { readConfig } from '../../src/config.ts'
import { startServer } from '../../src/server.ts'
import { pythonWith, runBeside } from '../clients/python.ts'
import { tinyFolder, tinyWith, write } from '../serving/tiny.ts'

const python = pythonWith('../contract/requirements.txt')
const config = fileURLToPath(new URL('schemathesis.toml', import.meta.url))

test('schemathesis finds no 5xx, and no answer that /openapi.json lacks', { skip: python.skip }, async t => {
  const key = 'a-key-for-administration'
  const models = tinyFolder(t.testdir())
  write(models, { 'spare/1/model.safetensors': tinyWith({ name: 'spare' }) })
  const server = await startServer(
    { ...readConfig({}), port: 0, workers: 1, models, adminKeys: [key], logLevel: 'silent' },
    pino({ level: 'silent' }),
  )
  t.teardown(() => server.stop())
  const { status, output } = await runBeside(
    join(python.path!, '../schemathesis'),
    ['--config-file', config, 'run', `${server.url}/openapi.json`, '--no-color'],
    { XNORD_KEY: key },
  )
  t.equal(status, 0, output)
  const counted = /(\d+) generated/.exec(output)
  t.ok(Number(counted?.[1]) > 300, 'so many requests were made')
})
