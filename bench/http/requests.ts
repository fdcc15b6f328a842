/** The requests that the load generators send, as the bytes of their bodies. */

import { encodeGreyPng } from '../../test/images/png.ts'

/** A kind of request; several bodies take turns. */
export interface Request {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: readonly Uint8Array[]
}

const boundary = 'xnord-benchmark'

export function rawPixels(path: string, images: readonly Uint8Array[]): Request {
  return { path, headers: { 'content-type': 'application/octet-stream' }, bodies: images }
}

/** Each image a file of a request of its own. */
export function multipart(path: string, files: readonly Uint8Array[]): Request {
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="image.png"\r\ncontent-type: image/png\r\n\r\n`,
  )
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  return {
    path,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    bodies: files.map(file => Buffer.concat([head, file, tail])),
  }
}

/** What the extensions of the Open Inference Protocol for binary tensors make of a batch: JSON, behind it the pixels. */
export function binaryTensor(
  path: string,
  shape: readonly number[],
  batches: readonly Uint8Array[],
  parameters: object = {},
): Request {
  const [batch] = batches
  const header = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'image', datatype: 'UINT8', shape, parameters: { binary_data_size: batch.length } }],
      outputs: [{ name: 'probabilities', parameters: { binary_data: true } }],
      parameters,
    }),
  )
  return {
    path,
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    },
    bodies: batches.map(pixels => Buffer.concat([header, pixels])),
  }
}

/**
 * The same in JSON alone.
 *
 * @param outputs by name; without it all that there are
 */
export function jsonTensor(
  path: string,
  name: string,
  shape: readonly number[],
  batches: readonly Uint8Array[],
  parameters: object = {},
  outputs?: readonly string[],
): Request {
  return {
    path,
    headers: { 'content-type': 'application/json' },
    bodies: batches.map(pixels =>
      Buffer.from(
        JSON.stringify({
          inputs: [{ name, datatype: 'UINT8', shape, data: [...pixels] }],
          outputs: outputs?.map(output => ({ name: output })),
          parameters,
        }),
      ),
    ),
  }
}

export function greyPngs(
  images: readonly Uint8Array[],
  width: number,
  height: number,
): readonly Uint8Array[] {
  return images.map(pixels => encodeGreyPng(pixels, width, height))
}
