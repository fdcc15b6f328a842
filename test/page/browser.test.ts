/**
 * The page in a real browser, against the real server and its MNIST model. The committed picture of it is renewed by
 * SCREENSHOT=docs/page.png.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t from 'tap'
import { findChromium } from './chromium.ts'
import { neverCalled, pageTest, startBefore } from './page-test.ts'
import { answerOf, drawSeven, drop, inkColour, sentenceOf, seven, surfaceOf } from './steps.ts'

const executablePath = findChromium()
if (executablePath === undefined) {
  t.plan(0, 'no chromium on PATH, and none named by CHROMIUM_PATH: nothing has tested the page')
  process.exit()
}
startBefore(executablePath)

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const digit = readFileSync(new URL('../fixtures/digit.png', import.meta.url))

pageTest('a digit drawn with the mouse is read by both networks and all members', {}, async (t, page) => {
  await drawSeven(page)
  t.equal(await answerOf(page), '7')
  t.match(
    await sentenceOf(page),
    /^(More than )?\d+\.\d% probable\. (All 8|\d of 8) members agree, and so does the float twin\.$/,
  )
  const first = page.locator('#rows tr').nth(7)
  t.equal(await first.locator('th').textContent(), '7')
  t.equal(await first.locator('td.first').count(), 2, 'the bars of both networks are the longest at 7')
  t.match(await page.locator('#agreement').textContent(), /^\d of 8$/)
  t.match(await page.locator('#entropy').textContent(), /^\d\.\d\d nats$/)
  t.match(await page.locator('#mutual-information').textContent(), /^\d\.\d\d nats$/)
  for (const id of ['discrete-time', 'baseline-time']) {
    t.match(await page.locator(`#${id}`).textContent(), /^[\d.,]+ [µm]s$/)
  }
})

pageTest(
  'a digit drawn with a finger is read',
  { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true },
  async (t, page) => {
    const place = await surfaceOf(page)
    const touch = await page.context().newCDPSession(page)
    const points = seven.map(([x, y]) => place([x, y - 3]))
    await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [points[0]!] })
    for (const point of points.slice(1)) {
      await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [point] })
    }
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
    t.equal(await answerOf(page), '7')
  },
)

pageTest('a digit drawn with the keyboard alone is read, and the pen is announced', {}, async (t, page) => {
  for (let i = 0; i < 3; i++) await page.keyboard.press('Tab')
  t.equal(
    await page.evaluate('document.activeElement.id'),
    'pad',
    'the drawing area comes after the two links',
  )
  const press = async (key: string, times: number) => {
    for (let i = 0; i < times; i++) await page.keyboard.press(key)
  }
  await press('ArrowUp', 9)
  await press('ArrowLeft', 6)
  await page.keyboard.press('Space')
  t.equal(await page.locator('#pen').textContent(), 'Pen down at column 8, row 5 of 28.')
  await press('ArrowRight', 12)
  // Two arrows held together go down and left at once; each press of the second moves by both.
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('ArrowDown')
    await page.keyboard.down('ArrowDown')
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.up('ArrowDown')
  }
  await page.keyboard.press('Space')
  t.match(await page.locator('#pen').textContent(), /^Pen up at column \d+, row \d+ of 28\.$/)
  t.equal(await answerOf(page), '7')
  await page.keyboard.press('Escape')
  await page.locator('#answer.empty').waitFor()
  t.equal(await sentenceOf(page), 'Nothing drawn yet.')
})

pageTest(
  'the keyboard reaches everything in the order of the page, and sees where it is',
  {},
  async (t, page) => {
    const order: unknown[] = []
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Tab')
      order.push(await page.evaluate('document.activeElement.id || document.activeElement.textContent'))
    }
    t.same(order, ['API', 'Metrics', 'pad', 'clear', 'file'])
    t.equal(
      await page.evaluate('getComputedStyle(document.querySelector("label[for=file]")).outlineStyle'),
      'solid',
      'the hidden file input shows its focus on its label',
    )
  },
)

pageTest('a dropped file is sent as it is, read, and shown', {}, async (t, page) => {
  await drop(page, [{ name: 'digit.png', bytes: digit }])
  t.equal(await answerOf(page), '7')
  await page.locator('#hint').waitFor({ state: 'hidden' })
  t.equal(await page.locator('#seen').isHidden(), true, 'only a drawing has pixels that the page knows')
})

pageTest(
  'a chosen file is read, again when it is chosen again, and a stroke replaces it',
  {},
  async (t, page) => {
    const input = page.locator('#file')
    await input.setInputFiles({ name: 'digit.png', mimeType: 'image/png', buffer: digit })
    t.equal(await answerOf(page), '7')
    await page.locator('#hint').waitFor({ state: 'hidden' })
    const again = page.waitForResponse('**/compare?*')
    await input.setInputFiles({ name: 'digit.png', mimeType: 'image/png', buffer: digit })
    t.equal((await again).status(), 200)
    await page.locator('#hint').waitFor({ state: 'hidden' })
    const drawn = page.waitForRequest('**/compare?*')
    await drawSeven(page)
    t.equal((await drawn).headers()['content-type'], 'application/octet-stream')
    t.equal(await answerOf(page), '7')
  },
)

pageTest('Clear wipes the drawing and its answer', {}, async (t, page) => {
  await drawSeven(page)
  t.equal(await answerOf(page), '7')
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.locator('#answer.empty').waitFor()
  t.equal(await page.locator('#label').textContent(), '')
  t.equal(await page.locator('#hint').isVisible(), true)
})

pageTest('a stroke is one request, however many points it has', {}, async (t, page) => {
  let requests = 0
  page.on('request', request => {
    if (request.method() === 'POST') requests += 1
  })
  await drawSeven(page)
  t.equal(await answerOf(page), '7')
  t.equal(requests, 1)
})

pageTest('a new stroke cancels the question about the old one', {}, async (t, page) => {
  let hold = true
  await page.route('**/compare?*', async route => {
    // The first question never gets an answer.
    if (hold) hold = false
    else await route.continue()
  })
  const asked = page.waitForRequest('**/compare?*')
  const cancelled = page.waitForEvent('requestfailed')
  await drawSeven(page)
  await asked
  await page.getByRole('button', { name: 'Clear' }).click()
  t.equal((await cancelled).failure()?.errorText, 'net::ERR_ABORTED')
  await drawSeven(page)
  t.equal(await answerOf(page), '7')
})

pageTest('a file that is no image is refused in words', {}, async (t, page) => {
  await drop(page, [{ name: 'notes.txt', bytes: Buffer.from('seven') }])
  t.equal(await answerOf(page), 'The file is not a PNG, JPEG or WebP image')
  t.equal(await page.locator('#retry').isVisible(), false, 'asking again would not help')
})

pageTest('several files at once are refused in words', {}, async (t, page) => {
  await drop(page, [
    { name: 'a.png', bytes: digit },
    { name: 'b.png', bytes: digit },
  ])
  t.equal(await answerOf(page), 'One image, please')
  t.equal(await sentenceOf(page), 'Those were 2 files.')
})

pageTest('when the server is gone the page says so, and asks again when told to', {}, async (t, page) => {
  await page.route('**/compare?*', route => route.abort('connectionrefused'))
  await drawSeven(page)
  t.equal(await answerOf(page), 'The server cannot be reached')
  await page.unroute('**/compare?*')
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.locator('#answer.answered').waitFor()
  t.equal(await answerOf(page), '7')
})

pageTest(
  'a page that cannot get the models says so, and goes on when it can',
  { prepare: page => page.route('**/models', route => route.abort('connectionrefused')) },
  async (t, page) => {
    t.equal(await answerOf(page), 'The server cannot be reached')
    await page.unroute('**/models')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('#answer.empty').waitFor()
    await drawSeven(page)
    t.equal(await answerOf(page), '7')
  },
)

pageTest('an answer that is not xnord’s is not taken for one', {}, async (t, page) => {
  await page.route('**/compare?*', route =>
    route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }),
  )
  await drawSeven(page)
  t.equal(await answerOf(page), 'The answer cannot be read')
})

pageTest(
  'a phone of 360 pixels shows all of the page without scrolling sideways',
  { viewport: { width: 360, height: 780 } },
  async (t, page) => {
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
    await drawSeven(page)
    t.equal(await answerOf(page), '7')
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
  },
)

for (const colorScheme of ['light', 'dark'] as const) {
  pageTest(
    `the ${colorScheme} page has no accessibility fault that axe finds, in any state`,
    { colorScheme, reducedMotion: 'reduce' },
    async (t, page) => {
      await page.evaluate(axe)
      const faults = () =>
        page.evaluate<string[]>(`axe.run().then(({ violations }) =>
        violations.map(({ help, nodes }) => help + ': ' + nodes.map(({ target }) => target).join(', ')))`)
      t.same(await faults(), [], 'empty')
      await drawSeven(page)
      t.equal(await answerOf(page), '7')
      t.same(await faults(), [], 'answered')
      await drop(page, [{ name: 'notes.txt', bytes: Buffer.from('seven') }])
      await page.locator('#answer.failed').waitFor()
      t.same(await faults(), [], 'failed')
    },
  )
}

const colours = {
  version: 3,
  input: { height: 32, width: 32, channels: 3, resize: 'contain' },
  labels: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck', 'tree'],
  members: 1,
  baseline: false,
  bytes: { model: 420_000, baseline: null },
  wordOperations: 9_800_000,
}

async function addColourModel(page: Page): Promise<void> {
  await page.route('**/models', async route => {
    const response = await route.fetch()
    const { models } = (await response.json()) as { models: object[] }
    await route.fulfill({ response, json: { models: [...models, { name: 'colours', versions: [colours] }] } })
  })
}

pageTest(
  'of several models one is chosen; one for colour pictures takes files only',
  { viewport: { width: 360, height: 780 }, prepare: addColourModel },
  async (t, page) => {
    await page.route('**/predict?*', route =>
      route.fulfill({
        json: {
          model: 'colours',
          version: 3,
          digest: '00'.repeat(32),
          backend: 'scalar',
          predictions: [
            {
              name: 'digit.png',
              label: 'cat',
              index: 3,
              probability: 0.75,
              top: [
                { label: 'cat', index: 3, probability: 0.75 },
                { label: 'tree', index: 10, probability: 0.25 },
              ],
              uncertainty: { entropy: 0.56, mutualInformation: 0, agreement: 1, members: 1 },
            },
          ],
        },
      }),
    )
    await drawSeven(page)
    t.equal(await answerOf(page), '7')
    await page.getByLabel('Model', { exact: true }).selectOption('colours')
    t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Choose an image')
    t.equal(await sentenceOf(page), 'No image yet.')
    await drawSeven(page)
    t.equal(await page.locator('#answer.empty').count(), 1, 'strokes leave no ink')
    const asked = page.waitForRequest('**/predict?*')
    await drop(page, [{ name: 'digit.png', bytes: digit }])
    const { searchParams } = new URL((await asked).url())
    t.same(Object.fromEntries(searchParams), { model: 'colours', version: '3', members: '1', top: '11' })
    t.equal(await answerOf(page), 'cat')
    t.equal(await sentenceOf(page), '75.0% probable.')
    t.same(await page.locator('#rows th').allTextContents(), [
      'cat',
      'tree',
      'airplane',
      'automobile',
      'bird',
      'deer',
      'dog',
      'frog',
      'horse',
      'ship',
    ])
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
    t.equal(
      await page.locator('#rows td:last-child').first().isVisible(),
      false,
      'there is no float twin to show',
    )
  },
)

const key = 'predict-0123456789'

pageTest(
  'a server that asks for a key is given one, which the tab keeps',
  { environment: { XNORD_KEYS: key } },
  async (t, page) => {
    const titled = (title: string) => page.locator('#label').getByText(title).waitFor()
    const field = page.getByLabel('Key', { exact: true })
    const submit = page.getByRole('button', { name: 'Use this key' })
    await titled('A key is needed')
    await page.evaluate(axe)
    t.same(await page.evaluate('axe.run().then(({ violations }) => violations.map(({ help }) => help))'), [])
    await field.fill('too short')
    await submit.click()
    t.equal(await field.inputValue(), 'too short', 'what cannot be a key is not sent')
    await field.fill('another-0123456789')
    await submit.click()
    await titled('The key is not known')
    await field.fill(key)
    await page.keyboard.press('Enter')
    await page.locator('#rows tr').first().waitFor()
    t.equal(await field.isHidden(), true)
    await drawSeven(page)
    t.equal(await answerOf(page), '7')
    t.equal(await page.evaluate(`sessionStorage.getItem('xnord-key')`), key)
    t.equal(await page.evaluate('localStorage.length + document.cookie.length'), 0)
  },
)

pageTest(
  'a tab that has a key asks for none',
  {
    environment: { XNORD_KEYS: key },
    prepare: page => page.addInitScript(`sessionStorage.setItem('xnord-key', '${key}')`),
  },
  async (t, page) => {
    await drop(page, [{ name: 'digit.png', bytes: digit }])
    t.equal(await answerOf(page), '7')
  },
)

pageTest('a file dragged over the page marks the drawing area until it leaves', {}, async (t, page) => {
  const pad = page.locator('#pad')
  await pad.dispatchEvent('dragover')
  t.equal(await pad.getAttribute('class'), 'pad dropping')
  await pad.dispatchEvent('dragleave')
  t.equal(await pad.getAttribute('class'), 'pad')
})

pageTest('ink takes the colour of the scheme, also when that changes', {}, async (t, page) => {
  await drawSeven(page)
  t.equal(await inkColour(page, '23,23,26,255'), '23,23,26,255')
  await page.emulateMedia({ colorScheme: 'dark' })
  t.equal(await inkColour(page, '241,240,238,255'), '241,240,238,255')
})

pageTest('a picture that only the server can read is answered all the same', {}, async (t, page) => {
  await page.evaluate('globalThis.createImageBitmap = () => Promise.reject(new Error("no decoder"))')
  await drop(page, [{ name: 'digit.png', bytes: digit }])
  t.equal(await answerOf(page), '7')
  await page.getByText('digit.png, which this browser cannot show').waitFor()
})

t.test('every function of the page has run in these tests', async t => {
  t.same(neverCalled(), [])
})

const picture = process.env.SCREENSHOT
if (picture !== undefined) {
  // Last, when the kernels have run often enough for the times in it to be those of a server at work.
  pageTest('the picture is taken', { deviceScaleFactor: 2, reducedMotion: 'reduce' }, async (t, page) => {
    await drawSeven(page)
    t.equal(await answerOf(page), '7')
    await page.mouse.move(0, 0)
    await page.screenshot({ path: picture, fullPage: true })
  })
}
