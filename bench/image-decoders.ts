/** The decoders among which src/images chooses, each as its users call it. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import decodeJsquashJpeg, { init as openJsquashJpeg } from '@jsquash/jpeg/decode.js'
import decodeJsquashPng, { init as openJsquashPng } from '@jsquash/png/decode.js'
import decodeJsquashWebp, { init as openJsquashWebp } from '@jsquash/webp/decode.js'
import { decode as decodeFastPng } from 'fast-png'
import sharp from 'sharp'
import { probeImage } from '../src/images/probe.ts'
import { decodeSmallJpeg } from '../src/images/small-jpeg.ts'
import { decodeSmallPng } from '../src/images/small-png.ts'
import type { Picture } from './pictures.ts'

/** Interleaved bytes; how many channels there are follows from their number. */
type Pixels = Uint8Array | Uint8ClampedArray

export interface ImageDecoder {
  readonly name: string
  /** The package whose version counts. */
  readonly package: string
  readonly format: Picture['format']
  /** Null where it leaves the file to another. */
  readonly decode: (file: Buffer) => Pixels | null | Promise<Pixels>
}

const require = createRequire(import.meta.url)
const maxPixels = 2 ** 24

export const viaSharp = (format: Picture['format']): ImageDecoder => ({
  name: 'sharp',
  package: 'sharp',
  format,
  decode: file =>
    sharp(file, { limitInputPixels: maxPixels, failOn: 'warning', ignoreIcc: true, autoOrient: true })
      .raw({ depth: 'uchar' })
      .toBuffer(),
})

export async function openDecoders(): Promise<readonly ImageDecoder[]> {
  sharp.concurrency(1)
  sharp.cache(false)
  await openJsquashJpeg(compiled('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm') as never)
  await openJsquashPng(compiled('@jsquash/png/codec/pkg/squoosh_png_bg.wasm') as never)
  await openJsquashWebp(compiled('@jsquash/webp/codec/dec/webp_dec.wasm') as never)
  const lodepng = require('@cwasm/lodepng') as {
    decode(file: Uint8Array): { readonly data: Uint8ClampedArray }
  }
  return [
    viaSharp('png'),
    {
      name: 'LodePNG, as here',
      package: '@cwasm/lodepng',
      format: 'png',
      decode: file => decodeSmallPng(file, probeImage(file, maxPixels))?.data ?? null,
    },
    {
      name: 'LodePNG, by its package',
      package: '@cwasm/lodepng',
      format: 'png',
      decode: file => lodepng.decode(file).data,
    },
    {
      name: 'fast-png',
      package: 'fast-png',
      format: 'png',
      decode: file => decodeFastPng(file, { checkCrc: true }).data as Uint8Array,
    },
    {
      name: '@jsquash/png',
      package: '@jsquash/png',
      format: 'png',
      decode: async file => (await decodeJsquashPng(file as never)).data,
    },
    viaSharp('jpeg'),
    {
      name: 'libjpeg-turbo, as here',
      package: '@cornerstonejs/codec-libjpeg-turbo-8bit',
      format: 'jpeg',
      decode: file => decodeSmallJpeg(file, probeImage(file, maxPixels))?.data ?? null,
    },
    {
      name: '@jsquash/jpeg',
      package: '@jsquash/jpeg',
      format: 'jpeg',
      decode: async file => (await decodeJsquashJpeg(file as never)).data,
    },
    viaSharp('webp'),
    {
      name: '@jsquash/webp',
      package: '@jsquash/webp',
      format: 'webp',
      decode: async file => (await decodeJsquashWebp(file as never)).data,
    },
  ]
}

export function versionOf(name: string): string {
  // Not every package exports its package.json.
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

function compiled(file: string): WebAssembly.Module {
  return new WebAssembly.Module(new Uint8Array(readFileSync(require.resolve(file))))
}
