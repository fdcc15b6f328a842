import { pathToFileURL } from 'node:url'
import { test } from 'tap'
import { loadBackend } from '../../src/serving/backend.ts'

test('the wasm kernels run where nothing is forced, and where they are', async t => {
  const { name, kernels } = await loadBackend(undefined)
  t.equal(name, 'wasm')
  t.type(kernels, WebAssembly.Module)
  t.equal((await loadBackend('wasm')).name, 'wasm')
})

test('a forced backend that is not there is a mistake of configuration, and the others are named', async t => {
  for (const name of ['avx512', 'WASM', '', 'none']) {
    await t.rejects(loadBackend(name), { code: 'CONFIGURATION_INVALID', message: /there is: wasm/ }, name)
  }
})

test('kernels that were not built, or not whole, are told with what to do', async t => {
  const folder = t.testdir({ 'kernels.wasm': 'not wasm' })
  for (const name of ['absent.wasm', 'kernels.wasm']) {
    const file = new URL(name, `${pathToFileURL(folder)}/`)
    await t.rejects(loadBackend(undefined, file), { code: 'INTERNAL', message: /npm run build/ }, name)
  }
})
