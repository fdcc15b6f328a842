/** The addon that the build has made, where the machine has a C++ compiler. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { NativeAddon } from '../../src/engine/kernels/native.ts'

const path = fileURLToPath(new URL('../../dist/kernels.node', import.meta.url))

export const builtAddon = {
  path,
  /** Why tests of it are left out, for tap; false where they are not. */
  skip: !existsSync(path) && 'they were not built, and npm run build says why',
  load: (): NativeAddon => createRequire(import.meta.url)(path),
} as const
