import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Fault, Happening } from '../happening.ts'
import { machineMs } from '../happening.ts'
import type { RemoteShopAddress } from '../shop/open-shop.ts'
import type { Crew, CrewMember, CrewOptions } from './crew.ts'
import type { Order } from './order.ts'

const ENTRY = new URL('./worker-process.js', import.meta.url)

/** Workers that are processes of their own. They are stopped by SIGSTOP and killed by SIGKILL. */
export function hireProcesses(address: RemoteShopAddress, options: CrewOptions): Crew {
  const members = Array.from({ length: options.workers }, (_, index) => hireProcess(index + 1, address, options))
  return {
    members,
    canBeKilled: true,
    dismiss: async () => {
      for (const { child } of members) child.kill('SIGKILL')
      await Promise.all(members.map(({ gone }) => gone))
    },
  }
}

function hireProcess(
  worker: number,
  address: RemoteShopAddress,
  { isFenced, onHappening }: CrewOptions,
): CrewMember & { readonly child: ChildProcess } {
  // Structured clones, so that tokens come as the big integers that they are.
  const child = fork(ENTRY, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const order = (what: Order): void => void child.send(what, () => {})
  const fault = (kind: Fault['kind'], signal: NodeJS.Signals): void => {
    onHappening({ kind, worker, atMs: machineMs() })
    child.kill(signal)
  }
  child.on('message', happening => onHappening(happening as Happening))
  order({ kind: 'work', worker, address, isFenced })
  return {
    worker,
    child,
    openDoors: () => order({ kind: 'open-doors' }),
    hesitate: () => order({ kind: 'hesitate' }),
    stop: () => fault('stopped', 'SIGSTOP'),
    resume: () => fault('continued', 'SIGCONT'),
    kill: () => fault('killed', 'SIGKILL'),
    // Both: what it told last may be read after its exit was noticed.
    gone: Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(() => undefined),
  }
}
