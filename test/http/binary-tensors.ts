import type { Response } from 'light-my-request'

/**
 * A request to infer with binary data, for `inject`.
 *
 * @param head null where the body is nothing but binary data
 */
export function binaryRequest(head: object | null, binary: Uint8Array, url = '/v2/models/shapes/infer') {
  const json = head === null ? '' : JSON.stringify(head)
  return {
    method: 'POST' as const,
    url,
    headers: { 'inference-header-content-length': String(Buffer.byteLength(json)) },
    payload: Buffer.concat([Buffer.from(json), binary]),
  }
}

interface Tensor {
  readonly name: string
  readonly parameters?: { readonly binary_data_size?: number }
}

/** An answer taken apart: its JSON, and by name the outputs that follow it. */
export function readBinary({ headers, rawPayload }: Response) {
  const length = Number(headers['inference-header-content-length'])
  const head = JSON.parse(rawPayload.subarray(0, length).toString())
  const tensors: Record<string, Uint8Array> = {}
  let at = length
  for (const { name, parameters } of head.outputs as readonly Tensor[]) {
    const size = parameters?.binary_data_size
    if (size === undefined) continue
    tensors[name] = rawPayload.subarray(at, at + size)
    at += size
  }
  if (at !== rawPayload.length) throw new Error(`${rawPayload.length - at} bytes belong to no output`)
  return { head, tensors }
}
