/**
 * Writes the pages of docs/ that the tables in src/ imply. With `--check` it writes nothing, names the pages that are
 * stale, and exits with 1.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { settings } from '../src/config.ts'
import { type ErrorEntry, type ErrorGroup, errorTable } from '../src/errors.ts'
import { type MetricEntry, metricTable } from '../src/http/metric-table.ts'
import type { Setting } from '../src/setting.ts'

const groups: Readonly<Record<ErrorGroup, string>> = {
  request: 'The request',
  image: 'One image of a request',
  service: 'The service, for the time being',
  model: 'A model file',
  start: 'The start',
}

const introductions: Readonly<Record<ErrorGroup, string>> = {
  request: "They are the caller's to mend; asking again unchanged gives the same answer.",
  image:
    'One bad image among several fails alone, in its place. Where every row of a request failed, its status is that of the first error.',
  service:
    '503 is temporary: the answer has a `Retry-After` header, in seconds. 500 is a bug in xnord, and the log tells more.',
  model:
    'They do not end a request: the version is not loaded, and the log names the file and what is wrong.',
  start: 'They end the start: the log names what is wrong, and the process exits with 1.',
}

function errorsPage(): string {
  const sections = (Object.keys(groups) as ErrorGroup[]).map(group => {
    const rows = Object.entries<ErrorEntry>(errorTable)
      .filter(([, entry]) => entry.group === group)
      .map(([code, { status, title }]) =>
        group === 'model' || group === 'start'
          ? [`\`${code}\``, title]
          : [`\`${code}\``, String(status), title],
      )
    const head = group === 'model' || group === 'start' ? ['Code', 'Meaning'] : ['Code', 'Status', 'Meaning']
    return `## ${groups[group]}\n\n${introductions[group]}\n\n${table(head, rows)}`
  })
  return page(
    'Errors',
    `Every error has a stable code. Over HTTP it is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457))
with the members \`type\` (\`urn:xnord:error:\` and the code), \`title\`, \`status\`, \`detail\`, \`instance\` (the request's
id, as the log has it) and \`code\`; below \`/v2\` it is \`{"error": …, "code": …}\`, as the Open Inference Protocol has it.`,
    sections,
  )
}

function configurationPage(): string {
  const rows = Object.values<Setting<unknown>>(settings).map(setting => [
    `\`${setting.variable}\``,
    setting.type,
    setting.defaultMeaning ?? `\`${setting.default}\``,
    setting.meaning,
  ])
  return page(
    'Configuration',
    `xnord is configured by environment variables. They are checked at the start, all mistakes are reported at once, and a
variable that begins with \`XNORD_\` and is not listed here is a mistake, too. An empty variable counts as absent. The
configuration is logged at the start; of keys only how many there are.

In Kubernetes, a service that is called \`xnord\` puts variables such as \`XNORD_PORT=tcp://…\` into every container:
set \`enableServiceLinks: false\`.`,
    [table(['Variable', 'Holds', 'Default', 'Meaning'], rows)],
  )
}

function metricsPage(): string {
  const rows = Object.entries<MetricEntry>(metricTable).map(([name, { type, labels, help }]) => [
    `\`xnord_${name}\``,
    type,
    labels.map(label => `\`${label}\``).join(', '),
    help,
  ])
  return page(
    'Metrics',
    `\`GET /metrics\` answers in the text format of Prometheus. Durations are in seconds. The labels \`model\` and \`version\`
hold names of loaded models only, so that no caller can add series; every combination of labels is there from the
start, at zero. Node.js adds its own families under \`xnord_process_\` and \`xnord_nodejs_\`.`,
    [table(['Metric', 'Type', 'Labels', 'Meaning'], rows)],
  )
}

function page(title: string, introduction: string, sections: readonly string[]): string {
  const notice = '<!-- Written by scripts/generate-docs.ts; change the tables in src/ instead. -->'
  return `${[`# ${title}`, notice, introduction, ...sections].join('\n\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const pages: Readonly<Record<string, string>> = {
  'errors.md': errorsPage(),
  'configuration.md': configurationPage(),
  'metrics.md': metricsPage(),
}

const check = process.argv.includes('--check')
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(`../docs/${name}`, import.meta.url)
  if (!check) {
    writeFileSync(file, text)
  } else if (contents(file) !== text) {
    console.error(`docs/${name} is stale: run npm run docs`)
    process.exitCode = 1
  }
}

/** Null where the page is still to be written. */
function contents(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
