import { execFileSync } from 'node:child_process'
import { test } from 'tap'

const heaps = new URL('../../src/serving/heaps.ts', import.meta.url).href

/** The largest young generation of a process, in MB, of which every collection leaves something behind. */
function largest(keep: boolean): number {
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8'
    import { keepHeapsSmall } from ${JSON.stringify(heaps)}
    if (${keep}) keepHeapsSmall()
    let most = 0
    const alive = []
    for (let round = 0; round < 2000; round++) {
      alive[round % 200] = Array.from({ length: 1000 }, (_, index) => ({ index }))
      const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
      most = Math.max(most, space_size)
    }
    console.log(most / 2 ** 20)`
  const parameters = ['--import', 'tsx', '--input-type=module', '--eval', program]
  // Coverage of the program would be of what tsx makes of the source.
  const env = { ...process.env, NODE_OPTIONS: '', _TAPJS_PROCESSINFO_COVERAGE_: '0' }
  return Number(execFileSync(process.execPath, parameters, { encoding: 'utf8', env }))
}

test('the young generation of the main thread stays as its start has made it', t => {
  const [kept, grown] = [largest(true), largest(false)]
  t.comment(`at most ${kept} MB, and ${grown} without it`)
  t.ok(kept < grown)
  t.end()
})
