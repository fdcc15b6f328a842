import { test } from 'tap'
import { Flow } from '../../src/serving/queue.ts'
import { PendingRequest, type PendingRow, rowCost } from '../../src/serving/request.ts'
import { loadTiny, tinyRows } from './tiny.ts'

test('a row takes a place in the queue for each member that answers it, and one for the baseline', t => {
  t.equal(rowCost({ members: 3, networks: 'discrete' }), 3)
  t.equal(rowCost({ members: 3, networks: 'both' }), 4)
  t.equal(rowCost({ members: 3, networks: 'baseline' }), 1)
  t.end()
})

test('a row is as much work as the networks that answer it: the baseline is as much as 10⅔ members', async t => {
  const model = await loadTiny(t.testdir({}), 1)
  const membersWorth = (networks: 'discrete' | 'both' | 'baseline', layers: readonly string[] = []) => {
    const request = { model: model.served, rows: tinyRows.slice(0, 1), members: 3, networks, layers }
    const pending = new PendingRequest(model, new Flow<PendingRow>(100), request, 0)
    return (pending.rows[0].work / model.served.wordOperations).toFixed(3)
  }
  t.equal(membersWorth('discrete'), '3.000')
  t.equal(membersWorth('discrete', ['conv1']), '6.000')
  t.equal(membersWorth('both'), '13.667')
  t.equal(membersWorth('baseline'), '10.667')
})
