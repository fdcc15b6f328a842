import { join } from 'node:path'
import { test } from 'tap'
import { perfAnalyzer, perfAnalyzerEnvironment } from './installed.ts'
import { runBeside } from './python.ts'
import { tinyServer } from './server.ts'

const options = [
  '-i',
  'http',
  '-m',
  'tiny',
  '--concurrency-range',
  '2',
  '--measurement-mode',
  'count_windows',
]
/** Whatever the machine does beside it, the figures shall count as stable. */
const patient = ['--measurement-request-count', '50', '-p', '200', '-s', '100000', '--max-trials', '3']

test('perf_analyzer, unmodified, measures the server', { skip: perfAnalyzer.skip }, async t => {
  const server = await tinyServer(t.testdir())
  t.teardown(() => server.stop())
  const path = perfAnalyzer.path!
  for (const batch of ['1', '4']) {
    const { status, output } = await runBeside(
      join(path, 'bin/perf_analyzer'),
      [...options, ...patient, '-u', new URL(server.url).host, '-b', batch],
      perfAnalyzerEnvironment(path),
    )
    t.equal(status, 0, output)
    t.match(output, new RegExp(`Batch size: ${batch}\n`))
    t.match(output, /Throughput: [1-9]/)
    // What it reads of the statistics.
    t.match(output, /Inference count: [1-9]/)
    t.match(output, /Execution count: [1-9]/)
    t.match(output, /Successful request count: [1-9]/)
    t.notMatch(output, /[Ff]ail/)
  }
})
