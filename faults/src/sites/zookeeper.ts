import { createLocks } from '@holdfast/lock'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { RawZooKeeper, isProblem } from '../raw-zookeeper.ts'
import { ledgerPath } from '../worker/zookeeper-ledger.ts'
import { naiveDirectory } from '../worker/zookeeper-outfit.ts'
import type { SingleSite } from './site.ts'

const ROOT = '/holdfast-faults'
const SESSION_MS = 2_000
const CONTENDER = /\d{10}$/

/** A ZooKeeper of our own. */
export async function zookeeperSite(): Promise<SingleSite> {
  const server = await startZooKeeper()
  const raw = new RawZooKeeper([server.port])
  await raw.ready()
  const observer = zookeeperBackend({ connect: server.connectString, root: ROOT, sessionTimeoutMs: 30_000 })
  const locks = createLocks({ backend: observer })
  return {
    kind: 'zookeeper',
    port: server.port,
    ttlMs: undefined,
    leaseMs: SESSION_MS,
    claimMs: SESSION_MS,
    place: ({ lockPort, dataPort }) => ({
      kind: 'zookeeper',
      lockPorts: [lockPort ?? server.port],
      dataPorts: [dataPort ?? server.port],
      root: ROOT,
      sessionTimeoutMs: SESSION_MS,
    }),
    leftovers: async resource => [
      ...(await contenders(raw, `${ROOT}/${resource}`)),
      ...(await contenders(raw, `${naiveDirectory(ROOT)}/${resource}`)),
    ],
    waiters: async resource => (await locks.inspect(resource)).waiters.length,
    lastWrite: async resource => {
      const text = await raw.text(ledgerPath(ROOT, resource)).catch(() => '')
      return text === '' ? undefined : BigInt(text)
    },
    wipe: async resource => {
      await removeTree(raw, `${ROOT}/${resource}`)
      await removeTree(raw, `${naiveDirectory(ROOT)}/${resource}`)
    },
    restart: () => server.restart(),
    restartEmpty: () => Promise.reject(new Error('A client refuses a ZooKeeper that has not seen what it has seen.')),
    [Symbol.asyncDispose]: async () => {
      await observer.close()
      raw.close()
      await server.stop()
    },
  }
}

async function contenders(raw: RawZooKeeper, directory: string): Promise<readonly string[]> {
  const names = await raw.children(directory).catch((error: unknown) => {
    if (isProblem(error, 'NO_NODE')) return []
    throw error
  })
  return names.filter(name => CONTENDER.test(name))
}

// Others make nodes there all the time: it is gone once it was found empty.
async function removeTree(raw: RawZooKeeper, directory: string): Promise<void> {
  for (;;) {
    try {
      const names = await raw.children(directory)
      await Promise.all(names.map(name => raw.remove(`${directory}/${name}`).catch(() => {})))
      return await raw.remove(directory)
    } catch (error) {
      if (isProblem(error, 'NO_NODE')) return
      if (!isProblem(error, 'NOT_EMPTY')) throw error
    }
  }
}
