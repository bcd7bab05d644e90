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
      for (const member of members) member.dismiss()
      await Promise.all(members.map(({ gone }) => gone))
    },
  }
}

function hireProcess(
  worker: number,
  address: RemoteShopAddress,
  { isFenced, onHappening }: CrewOptions,
): CrewMember & { readonly dismiss: () => void } {
  const child = fork(ENTRY, {
    // Structured clones, so that tokens come as the big integers that they are.
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let isOver = false
  const tell = (happening: Happening): void => {
    isOver ||= ['done', 'failed', 'killed'].includes(happening.kind)
    onHappening(happening)
  }
  const order = (what: Order): void => void child.send(what, () => {})
  const strike = (kind: Fault['kind'], signal: NodeJS.Signals): void => {
    tell({ kind, worker, atMs: machineMs() })
    child.kill(signal)
  }
  child.on('message', happening => tell(happening as Happening))
  order({ kind: 'work', worker, address, isFenced })
  return {
    worker,
    openDoors: () => order({ kind: 'open-doors' }),
    hesitate: () => order({ kind: 'hesitate' }),
    stop: () => strike('stopped', 'SIGSTOP'),
    resume: () => strike('continued', 'SIGCONT'),
    kill: () => strike('killed', 'SIGKILL'),
    dismiss: () => {
      isOver = true
      child.kill('SIGKILL')
    },
    gone: untilGone(child).then(how => {
      if (!isOver) tell({ kind: 'failed', reason: `its process ended with ${how}`, worker, atMs: machineMs() })
    }),
  }
}

/** Resolves with how it ended, once all that it told was heard: that may come after its exit. */
async function untilGone(child: ChildProcess): Promise<string> {
  const [[code, signal]] = (await Promise.all([once(child, 'exit'), once(child, 'disconnect')])) as [
    [number | null, NodeJS.Signals | null],
    unknown,
  ]
  return signal ?? `code ${code}`
}
