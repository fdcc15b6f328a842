import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { parseModel, serializeModel } from '../../src/engine/format.ts'
import { models, skip, startServer } from './server.ts'
import { describe, isBalanced, moreAnswers, startTraffic } from './traffic.ts'

const key = 'a-key-of-an-administrator'

interface Entry {
  readonly version: string
  readonly state: string
}

test('versions come, change and go under traffic, and no request fails', { skip }, async t => {
  const folder = t.testdir()
  const version = (number: number) => join(folder, 'mnist', String(number))
  mkdirSync(join(folder, 'mnist'))
  cpSync(join(models, 'mnist', '1'), version(1), { recursive: true })
  const server = await startServer({ XNORD_WORKERS: '2', XNORD_MODELS: folder, XNORD_ADMIN_KEYS: key })
  t.teardown(() => server.stop())
  const traffic = startTraffic(server.url, 8)

  const change = async (what: 'load' | 'unload') => {
    const response = await fetch(`${server.url}/v2/repository/models/mnist/${what}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
    })
    return { status: response.status, body: await response.text() }
  }
  const served = async () => {
    const response = await fetch(`${server.url}/v2/repository/index`, { method: 'POST' })
    const entries = (await response.json()) as readonly Entry[]
    return entries.filter(({ state }) => state === 'READY').map(entry => entry.version)
  }
  const digest = async () => {
    const body = (await (await fetch(`${server.url}/models/mnist`)).json()) as {
      readonly versions: readonly { readonly digest: string }[]
    }
    return body.versions[0].digest
  }

  cpSync(version(1), version(2), { recursive: true })
  await moreAnswers(traffic, 100)
  t.equal((await change('load')).status, 200)
  t.strictSame(await served(), ['1', '2'], 'a new version')

  mkdirSync(version(3))
  writeFileSync(join(version(3), 'model.safetensors'), 'no model')
  await moreAnswers(traffic, 100)
  const refused = await change('load')
  t.equal(refused.status, 422)
  t.match(refused.body, /MODEL_/, 'a broken version is refused, with the reason')
  t.strictSame(await served(), ['1', '2'], 'and the others go on')
  rmSync(version(3), { recursive: true })

  const before = await digest()
  const file = join(version(1), 'model.safetensors')
  const model = parseModel(readFileSync(file))
  writeFileSync(
    `${file}.new`,
    serializeModel({ ...model, provenance: { ...model.provenance, changed: true } }),
  )
  renameSync(`${file}.new`, file)
  await moreAnswers(traffic, 100)
  t.equal((await change('load')).status, 200)
  t.not(await digest(), before, 'a version that changed is swapped')

  rmSync(version(2), { recursive: true })
  await moreAnswers(traffic, 100)
  t.equal((await change('load')).status, 200)
  t.strictSame(await served(), ['1'], 'a version that is gone is forgotten')

  await moreAnswers(traffic, 100)
  const balance = await traffic.stop()
  t.comment(describe(balance))
  t.ok(isBalanced(balance))
  t.strictSame([...balance.answered.keys()], [200])
  t.equal((await change('unload')).status, 200)
  t.strictSame(await served(), [])
})
