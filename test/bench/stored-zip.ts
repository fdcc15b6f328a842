import { crc32 } from 'node:zlib'

/** What a header says of a member other than what is true. */
export interface Lies {
  readonly method?: number
  readonly size?: number
  readonly crc?: number
}

export interface Member {
  readonly name: string
  readonly content: Uint8Array
  readonly lies?: Lies
}

/** A zip archive of members that are stored. */
export function storedZip(members: readonly Member[]): Buffer {
  const locals: Buffer[] = []
  const centrals: Buffer[] = []
  let offset = 0
  for (const { name, content, lies = {} } of members) {
    const { method = 0, size = content.length, crc = crc32(content) } = lies
    // From the version that is needed to the lengths of the name and of the extra field: the same in both headers.
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(method, 4)
    common.writeUInt32LE(crc, 10)
    common.writeUInt32LE(size, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(name.length, 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), content])
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, rest, Buffer.from(name)]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

/** An array as NumPy writes it; `header` is the literal in it, where that is to be another one. */
export function npy(dtype: string, shape: readonly number[], values: Uint8Array, header?: string): Buffer {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const literal = header ?? `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${axes}), }`
  const text = Buffer.from(`${literal}\n`)
  const length = Buffer.alloc(2)
  length.writeUInt16LE(text.length)
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, text, values])
}
