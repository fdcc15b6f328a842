import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { XnordError } from '../errors.ts'
import { quote } from './catalog.ts'
import type { Log } from './types.ts'

/** A version folder of the models folder. */
export interface FoundVersion {
  readonly name: string
  readonly version: number
  readonly path: string
}

/** For a second look: what is ignored was reported at the first. */
export const silent: Log = { info() {}, warn() {}, error() {} }

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/
/** No leading zeros: 1 and 01 would be the same version. */
const versionPattern = /^[1-9][0-9]{0,8}$/

/**
 * Lists `<name>/<integer version>/` in a models folder, by name, then version. What is named otherwise is reported and
 * ignored. Links are followed: the folder is the operator's, and nothing of a request becomes part of a path.
 *
 * @throws MODELS_MISSING if the folder cannot be read
 */
export async function findVersions(folder: string, log: Log): Promise<readonly FoundVersion[]> {
  const found: FoundVersion[] = []
  for (const name of await namesIn(folder)) {
    const path = join(folder, name)
    if (namePattern.test(name)) found.push(...(await versionsOf(name, path, log)))
    else log.warn({ path }, 'ignored: not the name of a model')
  }
  return found
}

/**
 * The versions of one model, ascending. The name is looked up among those that the folder has: it never becomes part of
 * a path unless it is one of them.
 *
 * @throws MODELS_MISSING if the folder cannot be read, MODEL_UNKNOWN
 */
export async function findVersionsOf(
  folder: string,
  name: string,
  log: Log,
): Promise<readonly FoundVersion[]> {
  const names = await namesIn(folder)
  if (!namePattern.test(name) || !names.includes(name)) {
    throw new XnordError('MODEL_UNKNOWN', `The models folder holds no model ${quote(name)}.`)
  }
  return versionsOf(name, join(folder, name), log)
}

/**
 * What changes when the files of a version do: who they are, how long they are, and when they were written. A file that
 * is not there is part of it, too. Null where the version's whole folder is gone since it was found.
 */
export async function signatureOf({ path }: FoundVersion): Promise<string | null> {
  const files = ['model.safetensors', 'baseline.onnx'].map(async file => {
    try {
      const { ino, size, mtimeNs } = await stat(join(path, file), { bigint: true })
      return `${ino}:${size}:${mtimeNs}`
    } catch (thrown) {
      return (thrown as NodeJS.ErrnoException).code
    }
  })
  const signature = (await Promise.all(files)).join(' ')
  // After the files: a folder that is there now was there when they were looked for.
  return (await isGone(path)) ? null : signature
}

/** What cannot be looked at for another reason may be there. */
async function isGone(path: string): Promise<boolean> {
  try {
    await stat(path)
    return false
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (thrown) {
    const { message } = thrown as Error
    throw new XnordError('MODELS_MISSING', `The folder ${folder} cannot be read: ${message}.`, {
      cause: thrown,
    })
  }
}

/** None where the model's folder is no folder, or cannot be read: that is no reason to stop the others. */
async function versionsOf(name: string, folder: string, log: Log): Promise<readonly FoundVersion[]> {
  let entries: readonly string[]
  try {
    entries = await readdir(folder)
  } catch (err) {
    log.warn({ path: folder, err }, 'ignored: not a folder that can be read')
    return []
  }
  const versions: FoundVersion[] = []
  for (const entry of entries) {
    const path = join(folder, entry)
    if (versionPattern.test(entry) && (await isFolder(path))) {
      versions.push({ name, version: Number(entry), path })
    } else {
      log.warn({ path }, 'ignored: not the folder of a version')
    }
  }
  if (versions.length === 0) log.warn({ path: folder }, 'ignored: no version in it')
  return versions.sort((left, right) => left.version - right.version)
}

async function isFolder(path: string): Promise<boolean> {
  // A link that leads nowhere is not a folder.
  return stat(path).then(
    entry => entry.isDirectory(),
    () => false,
  )
}
