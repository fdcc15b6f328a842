/** Small images in colour, as files that clients send. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeImage } from '../../src/images/probe.ts'
import { photoPng } from '../pictures.ts'

/** So many take turns. */
const count = 64

/**
 * @param folder whose first PNG files by name are taken; without it they are made up
 * @param side in pixels, of squares
 * @throws Error where the folder has none, or one of another size
 */
export async function colourPngs(folder: string | undefined, side: number): Promise<readonly Uint8Array[]> {
  if (folder !== undefined) return readPngs(folder, side)
  return Promise.all(Array.from({ length: count }, (_, seed) => photoPng(side, side, seed)))
}

function readPngs(folder: string, side: number): readonly Uint8Array[] {
  const names = readdirSync(folder)
    .filter(name => name.endsWith('.png'))
    .sort()
    .slice(0, count)
  if (names.length === 0) throw new Error(`${folder} has no PNG files`)
  return names.map(name => {
    const file = readFileSync(join(folder, name))
    const { width, height } = probeImage(file, Number.POSITIVE_INFINITY)
    if (width !== side || height !== side)
      throw new Error(`${join(folder, name)} has ${width} × ${height} pixels, not ${side} × ${side}`)
    return file
  })
}
