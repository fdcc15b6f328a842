import { pino } from 'pino'
import { readConfig } from '../../src/config.ts'
import { type Server, startServer } from '../../src/server.ts'
import { tinyFolder } from '../serving/tiny.ts'

export const adminKey = 'a-key-for-administration'

/** A server of this process with the model `tiny`, on a free port. */
export function tinyServer(folder: string): Promise<Server> {
  return startServer(
    {
      ...readConfig({}),
      port: 0,
      workers: 1,
      models: tinyFolder(folder),
      adminKeys: [adminKey],
      logLevel: 'silent',
    },
    pino({ level: 'silent' }),
  )
}
