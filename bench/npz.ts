/** NumPy's .npz archives, of stored members as `numpy.savez` and `lrnet pack` write them. */

import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { type Entry, openPromise, type ZipFile } from 'yauzl'

export interface NumpyArray {
  /** NumPy's, such as `|u1` or `<i8`. */
  readonly dtype: string
  readonly shape: readonly number[]
  /** The values in C order. */
  readonly bytes: Buffer
}

const stored = 0
/** Of version 1.0. */
const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1')
/** What NumPy itself writes of numbers: a literal of Python, of which nothing else is understood. */
const header =
  /^\{'descr': '([|<>][biufc]\d{1,2})', 'fortran_order': (True|False), 'shape': \((\d{1,15}(?:, \d{1,15})*)?,?\), \} *\n$/

/**
 * Some arrays of an archive; of the others nothing is read. What is read is never longer than the file.
 *
 * @throws Error, with the file's name, for what is no archive, damaged, compressed, or no array in C order
 */
export async function readNpz<Name extends string>(
  file: string,
  names: readonly Name[],
): Promise<Readonly<Record<Name, NumpyArray>>> {
  try {
    return await readArrays(await openPromise(file), names)
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
  }
}

async function readArrays<Name extends string>(
  archive: ZipFile,
  names: readonly Name[],
): Promise<Readonly<Record<Name, NumpyArray>>> {
  const arrays = new Map<string, NumpyArray>()
  // It closes the archive as it ends, and where the loop is left.
  for await (const entry of archive.eachEntry()) {
    const name = names.find(name => entry.fileName === `${name}.npy`)
    if (name === undefined) continue
    if (arrays.has(name)) throw new Error(`${name} is there twice.`)
    arrays.set(name, decodeArray(name, await readMember(archive, entry)))
  }
  const missing = names.filter(name => !arrays.has(name))
  if (missing.length > 0) throw new Error(`there is no ${missing.join(', no ')}.`)
  return Object.fromEntries(arrays) as Record<Name, NumpyArray>
}

/** The library holds the sizes against each other and against the file's, but the content not against its checksum. */
async function readMember(archive: ZipFile, entry: Entry): Promise<Buffer> {
  if (entry.compressionMethod !== stored) throw new Error(`${entry.fileName} is compressed.`)
  const bytes = await buffer(await archive.openReadStreamPromise(entry))
  if (crc32(bytes) !== entry.crc32) throw new Error(`${entry.fileName} is damaged.`)
  return bytes
}

/** The format: a magic number, two bytes with the header's length, the header, then the values. */
function decodeArray(name: string, member: Buffer): NumpyArray {
  const begin = magic.length + 2
  if (member.length < begin || !member.subarray(0, magic.length).equals(magic)) {
    throw new Error(`${name} is no array of NumPy's format 1.0.`)
  }
  const end = begin + member.readUInt16LE(magic.length)
  const found = header.exec(member.toString('latin1', begin, end))
  if (found === null) throw new Error(`${name} has another header than NumPy writes for numbers.`)
  const [, dtype, fortranOrder, axes = ''] = found
  if (fortranOrder === 'True') throw new Error(`${name} is not in C order.`)
  const shape = axes === '' ? [] : axes.split(', ').map(Number)
  const bytes = member.subarray(end)
  const values = shape.reduce((product, axis) => product * axis, 1)
  if (bytes.length !== values * Number(dtype.slice(2))) {
    throw new Error(`${name} holds ${bytes.length} bytes, but is ${dtype}, ${shape.join(' × ')}.`)
  }
  return { dtype, shape, bytes }
}
