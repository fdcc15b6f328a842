import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { answer } from '../../src/engine/probabilities.ts'

function close(actual: number, expected: number, within = 1e-12): void {
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`)
}

t.test('one member: softmax of the logits over the temperature', async t => {
  // Powers of e^(ln 2): 1, 2 and 4 of 7; at temperature 1/2 they are squared: 1, 4 and 16 of 21.
  const logits = Float32Array.of(0, Math.LN2, 2 * Math.LN2)
  const plain = answer(logits, 1, 1)
  for (const [index, share] of [1 / 7, 2 / 7, 4 / 7].entries()) close(plain.probabilities[index], share, 1e-7)
  const sharp = answer(logits, 1, 0.5)
  for (const [index, share] of [1 / 21, 4 / 21, 16 / 21].entries())
    close(sharp.probabilities[index], share, 1e-7)
  t.equal(plain.index, 2)
  t.equal(plain.agreement, 1)
  t.equal(plain.mutualInformation, 0)
})

t.test('even logits have the entropy ln C, and ties go to the lowest index', async t => {
  const { index, entropy, probabilities } = answer(Float32Array.of(3, 3, 3, 3), 1, 2)
  t.equal(index, 0)
  t.strictSame([...probabilities], [0.25, 0.25, 0.25, 0.25])
  close(entropy, Math.log(4))
})

t.test('members that are sure of different classes disagree by ln 2', async t => {
  const { probabilities, index, entropy, mutualInformation, agreement } = answer(
    Float32Array.of(1000, 0, 0, 1000),
    2,
    1,
  )
  t.strictSame([...probabilities], [0.5, 0.5])
  t.equal(index, 0)
  close(entropy, Math.LN2)
  close(mutualInformation, Math.LN2)
  t.equal(agreement, 0.5)
})

t.test('agreement counts the members whose own first class is the answer', async t => {
  const { index, agreement } = answer(Float32Array.of(0, 9, 0, 9, 1, 0, 5, 0), 4, 1)
  t.equal(index, 1)
  t.equal(agreement, 0.5)
})

const finite = { noNaN: true, noDefaultInfinity: true }

t.test('any finite logits give a distribution, and a mutual information from 0 to ln C', async t => {
  const rows = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 7 }))
    .chain(([members, classes]) =>
      fc.tuple(
        fc.constant(members),
        fc.float32Array({ ...finite, minLength: members * classes, maxLength: members * classes }),
      ),
    )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(rows, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), ([members, logits], temperature) => {
        const { probabilities, index, entropy, mutualInformation, agreement } = answer(
          logits,
          members,
          temperature,
        )
        close(
          probabilities.reduce((a, b) => a + b, 0),
          1,
        )
        assert.ok(probabilities.every(p => p >= 0 && p <= probabilities[index]))
        assert.equal(probabilities.indexOf(probabilities[index]), index)
        assert.ok(mutualInformation >= 0 && mutualInformation <= entropy + 1e-12)
        assert.ok(entropy <= Math.log(probabilities.length) + 1e-12)
        assert.ok(agreement >= 0 && agreement <= 1)
      }),
    ),
  )
})

t.test('a member that never puts its logits first may still win the mean', async t => {
  // Softmax 0.6, 0.4, 0 and 0, 0.4, 0.6: the mean's first is class 1.
  const logs = [0.6, 0.4, 1e-9, 1e-9, 0.4, 0.6].map(Math.log)
  const { index, agreement } = answer(Float32Array.from(logs), 2, 1)
  t.equal(index, 1)
  t.equal(agreement, 0)
})
