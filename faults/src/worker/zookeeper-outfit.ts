import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { RawZooKeeper, connectStringOf } from '../raw-zookeeper.ts'
import type { Contender } from './contender.ts'
import { HoldfastContender } from './holdfast.ts'
import type { Ledger } from './ledger.ts'
import { NaiveZooKeeper } from './naive-zookeeper.ts'
import type { Outfit } from './outfit.ts'
import { outfit } from './outfit.ts'
import type { LockKind, Place } from './protocol.ts'
import { SessionTap } from './session-tap.ts'
import { ZooKeeperLedger } from './zookeeper-ledger.ts'

type ZooKeeperPlace = Place & { kind: 'zookeeper' }

export async function openZooKeeperOutfit(place: ZooKeeperPlace, lock: LockKind): Promise<Outfit> {
  const ledger = new ZooKeeperLedger(place.dataPorts, place.root)
  // Before the first connection is made.
  const tap = new SessionTap(place.lockPorts)
  return outfit(await contenderOf(place, lock, { ledger, tap }), ledger)
}

async function contenderOf(
  place: ZooKeeperPlace,
  lock: LockKind,
  beside: { readonly ledger: Ledger; readonly tap: SessionTap },
): Promise<Contender> {
  const { lockPorts, root, sessionTimeoutMs } = place
  if (lock === 'holdfast') {
    const backend = zookeeperBackend({ connect: connectStringOf(lockPorts), root, sessionTimeoutMs })
    return new HoldfastContender(backend, beside.ledger.guard, beside.tap)
  }
  const raw = new RawZooKeeper(lockPorts, sessionTimeoutMs)
  await raw.ready()
  return new NaiveZooKeeper(raw, beside.tap, {
    directory: naiveDirectory(root),
    isEphemeral: lock !== 'naive-forever',
    endsWithConnection: lock === 'naive-session',
  })
}

export function naiveDirectory(root: string): string {
  return `${root}-naive`
}
