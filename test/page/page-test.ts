/** Tests in pages of a real browser, which are served by the real server. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type ServerProcess, startServerProcess } from './server-process.ts'

let server: ServerProcess
let browser: Browser
/** Functions of the page by place, and whether a test has called them. */
const calls = new Map<string, boolean>()

/** Functions of the page's modules that no test so far has called. */
export function neverCalled(): readonly string[] {
  if (calls.size === 0) throw new Error('the browser has reported no functions')
  return [...calls].filter(([, called]) => !called).map(([place]) => place)
}

/** Starts server and browser before the first test of the file, and ends them after the last. */
export function startBefore(executablePath: string): void {
  // Each test is a second of a browser's work, on a machine that may have other things to do.
  t.setTimeout(600_000)
  t.before(async () => {
    server = await startServerProcess()
    browser = await chromium.launch({ executablePath })
  })
  t.teardown(async () => {
    await browser.close()
    await server.stop()
  })
}

interface Setting extends BrowserContextOptions {
  /** Of a server for this test alone. */
  readonly environment?: Readonly<Record<string, string>>
  /** Runs before the page is asked for. */
  readonly prepare?: (page: Page) => Promise<unknown>
}

/** A test on a new page that has loaded its models; it fails, too, on what no page of ours may ever do. */
export function pageTest(
  name: string,
  { prepare, environment, ...options }: Setting,
  body: (t: Test, page: Page) => Promise<void>,
) {
  t.test(name, async t => {
    const { url, stop } = environment === undefined ? server : await startServerProcess(environment)
    if (environment !== undefined) t.teardown(stop)
    const context = await browser.newContext({ viewport: { width: 1280, height: 960 }, ...options })
    t.teardown(() => context.close())
    const page = await context.newPage()
    const offences: string[] = []
    page.on('pageerror', error => offences.push(`threw ${error}`))
    page.on('request', request => {
      if (!request.url().startsWith(`${url}/`)) offences.push(`asked for ${request.url()}`)
    })
    page.on('console', message => {
      if (message.text().startsWith('policy:')) offences.push(message.text())
    })
    await page.addInitScript(
      `addEventListener('securitypolicyviolation', event => console.log('policy: ' + event.violatedDirective))`,
    )
    await prepare?.(page)
    await page.coverage.startJSCoverage({ resetOnNavigation: false })
    await page.goto(url)
    await page.locator('#rows tr, #answer.failed').first().waitFor()
    await body(t, page)
    noteCalls(url, await page.coverage.stopJSCoverage())
    t.same(offences, [], 'nothing left the server, broke the content security policy or threw')
  })
}

function noteCalls(origin: string, scripts: Awaited<ReturnType<Page['coverage']['stopJSCoverage']>>): void {
  // The client that they call has tests of its own.
  const ofPage = scripts.filter(({ url }) => new URL(url).pathname.startsWith('/page/'))
  for (const { url, functions } of ofPage) {
    for (const { functionName, ranges } of functions) {
      const place = `${url.slice(origin.length)} ${functionName} at ${ranges[0]!.startOffset}`
      calls.set(place, calls.get(place) === true || ranges[0]!.count > 0)
    }
  }
}
