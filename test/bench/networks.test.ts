import { test } from 'tap'
import { lenet, perceptron, randomWeights, resnet18, vggSmall, withWeights } from '../../bench/networks.ts'
import { inferValues } from '../../src/engine/graph.ts'

function shapes({ input, operations }: Parameters<typeof randomWeights>[0]): string[] {
  const { values } = inferValues(input, operations)
  return operations.map(({ name }) => {
    const { type, height, width, channels } = values.get(name)!
    return `${type} ${height} × ${width} × ${channels}`
  })
}

test('VGG-Small has six convolutions, 128 to 512 channels, and one linear layer', t => {
  t.same(shapes(vggSmall), [
    'bits 32 × 32 × 128',
    'bits 16 × 16 × 128',
    'bits 16 × 16 × 256',
    'bits 8 × 8 × 256',
    'bits 8 × 8 × 512',
    'bits 4 × 4 × 512',
    'floats 1 × 1 × 10',
  ])
  t.end()
})

test('LeNet and the perceptron end with linear layers', t => {
  t.same(shapes(lenet), ['bits 12 × 12 × 32', 'bits 4 × 4 × 64', 'bits 1 × 1 × 512', 'floats 1 × 1 × 10'])
  t.same(shapes(perceptron), [...new Array(3).fill('bits 1 × 1 × 1024'), 'floats 1 × 1 × 10'])
  t.end()
})

test('ResNet-18 has a shortcut around each of its 16 convolutions after the stem', t => {
  const added = resnet18.operations.flatMap(operation =>
    operation.op === 'conv2d' && operation.add !== null ? [[operation.name, operation.add]] : [],
  )
  t.same(added, [
    ['stage1.1', 'stem'],
    ['stage1.2', 'stage1.1'],
    ['stage1.3', 'stage1.2'],
    ['stage1.4', 'stage1.3'],
    ['stage2.1', 'stage2.1.shortcut'],
    ['stage2.2', 'stage2.1'],
    ['stage2.3', 'stage2.2'],
    ['stage2.4', 'stage2.3'],
    ['stage3.1', 'stage3.1.shortcut'],
    ['stage3.2', 'stage3.1'],
    ['stage3.3', 'stage3.2'],
    ['stage3.4', 'stage3.3'],
    ['stage4.1', 'stage4.1.shortcut'],
    ['stage4.2', 'stage4.1'],
    ['stage4.3', 'stage4.2'],
    ['stage4.4', 'stage4.3'],
  ])
  t.equal(shapes(resnet18).at(-3), 'floats 4 × 4 × 512')
  t.end()
})

test('about a third of the ternary weights are 0, and half of the others positive', t => {
  const { tensors } = randomWeights(withWeights(lenet, 'ternary'), 1)
  const ones = (name: string) => {
    const { data } = tensors.get(name)!
    let count = 0
    for (const byte of data) for (let bit = 0; bit < 8; bit++) count += (byte >> bit) & 1
    return count
  }
  const weights = 64 * 5 * 5 * 32
  t.ok(Math.abs(ones('conv2.mask') / weights - 2 / 3) < 0.01)
  t.ok(Math.abs(ones('conv2.sign') / weights - 1 / 3) < 0.01)
  t.end()
})

test('the same seed gives the same weights', t => {
  const signs = (seed: number) =>
    Buffer.from(randomWeights(lenet, seed).tensors.get('conv2.sign')!.data.buffer)
  t.ok(signs(7).equals(signs(7)))
  t.notOk(signs(7).equals(signs(8)))
  t.end()
})
