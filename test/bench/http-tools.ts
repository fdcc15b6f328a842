import { spawnSync } from 'node:child_process'

/** Why the generators of load cannot run here; false where they can. */
export const missing = spawnSync('taskset', ['--version']).status !== 0 && 'taskset is missing'
