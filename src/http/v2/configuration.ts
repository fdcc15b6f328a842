import type { ServedModel } from '../../serving/types.ts'
import type { ModelConfiguration } from '../schemas/v2.ts'
import { outputMetadata } from './outputs.ts'

const dataTypes = { UINT8: 'TYPE_UINT8', FP32: 'TYPE_FP32', BYTES: 'TYPE_STRING' } as const

/**
 * A model as Triton's model configuration would describe it: load generators read from it how many rows a request may
 * have.
 */
export function configurationOf(model: ServedModel): ModelConfiguration {
  const { height, width, channels } = model.input
  return {
    name: model.name,
    platform: 'xnord',
    backend: 'xnord',
    version_policy: { all: {} },
    max_batch_size: model.maxRows,
    input: [
      {
        name: 'image',
        data_type: dataTypes.UINT8,
        format: 'FORMAT_NHWC',
        dims: [height, width, channels],
      },
    ],
    output: outputMetadata(model).map(({ name, datatype, shape: [, ...dims] }) => ({
      name,
      data_type: dataTypes[datatype],
      // The configuration knows no value without an axis: it has one of length 1, which is taken away.
      ...(dims.length === 0 ? { dims: [1], reshape: { shape: [] } } : { dims }),
    })),
    dynamic_batching: {},
    model_transaction_policy: { decoupled: false },
  }
}
