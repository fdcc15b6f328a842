/** What tests do on the page, and what they read from it. */
import type { Page } from 'playwright-core'

/** The stroke of test/fixtures/digit.png, a seven, in its pixels. */
export const seven: readonly (readonly [x: number, y: number])[] = [
  [7, 8.2],
  [9.5, 8.2],
  [13, 8.8],
  [16.5, 9.2],
  [19.8, 9.3],
  [19.7, 11],
  [18.6, 13.5],
  [16.8, 16.2],
  [15.2, 19],
  [13.9, 21.6],
  [12.8, 24],
  [12.2, 26],
]

/** A function from the pixels of a 28 × 28 image that fills the drawing area to places in the window. */
export async function surfaceOf(page: Page) {
  const box = (await page.locator('#pad').boundingBox())!
  return ([x, y]: readonly [number, number]) => ({
    x: box.x + (x / 28) * box.width,
    y: box.y + (y / 28) * box.height,
  })
}

/** By the mouse, in the middle of the drawing area. */
export async function drawSeven(page: Page): Promise<void> {
  const place = await surfaceOf(page)
  const [first, ...rest] = seven.map(([x, y]) => place([x, y - 3]))
  await page.mouse.move(first!.x, first!.y)
  await page.mouse.down()
  for (const { x, y } of rest) await page.mouse.move(x, y, { steps: 6 })
  await page.mouse.up()
}

/** Drags files onto the drawing area and lets them go. */
export async function drop(
  page: Page,
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
) {
  const list = files.map(file => ({ name: file.name, base64: Buffer.from(file.bytes).toString('base64') }))
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer()
    for (const { name, base64 } of ${JSON.stringify(list)}) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), c => c.charCodeAt(0))], name))
    }
    return transfer
  })()`)
  await page.locator('#pad').dispatchEvent('dragover', { dataTransfer })
  await page.locator('#pad').dispatchEvent('drop', { dataTransfer })
}

/** What the page answers, once it has: the class, or the title of a problem. */
export async function answerOf(page: Page): Promise<string | null> {
  await page.locator('#answer:not([aria-busy="true"]):is(.answered, .failed)').waitFor()
  return page.locator('#label').textContent()
}

export const sentenceOf = (page: Page) => page.locator('#sentence').textContent()

/** The colour of the first point of the seven, once it is the expected one, or after 100 frames of another. */
export function inkColour(page: Page, expected: string): Promise<string> {
  const [x, y] = seven[0]!
  return page.evaluate(`new Promise(resolve => {
    const paper = document.getElementById('paper')
    const look = frames => {
      const unit = paper.width / 28
      const [...colour] = paper.getContext('2d').getImageData(${x} * unit, ${y - 3} * unit, 1, 1).data
      if (frames === 0 || colour.join() === '${expected}') resolve(colour.join())
      else requestAnimationFrame(() => look(frames - 1))
    }
    look(100)
  })`)
}
