import type { Deed, Fault } from '../happening.ts'
import { machineMs } from '../happening.ts'
import { Pace } from '../pace.ts'
import type { MemoryShelf } from '../shop/memory.ts'
import { work } from '../worker.ts'
import type { Crew, CrewMember, CrewOptions } from './crew.ts'

/** Workers that are tasks of this process. To stop one means that its customer never decides. */
export function hireTasks(shelf: MemoryShelf, options: CrewOptions): Crew {
  const members = Array.from({ length: options.workers }, (_, index) => hireTask(index + 1, shelf, options))
  return {
    members,
    canBeKilled: false,
    dismiss: async () => {},
  }
}

function hireTask(worker: number, shelf: MemoryShelf, options: CrewOptions): CrewMember {
  const pace = new Pace()
  const tell = (what: Deed | Fault): void => options.onHappening({ ...what, worker, atMs: machineMs() })
  let openDoors = (): void => {}
  const doorsOpen = new Promise<void>(resolve => {
    openDoors = resolve
  })
  return {
    worker,
    openDoors,
    hesitate: () => pace.hesitate(),
    stop: () => {
      pace.pause()
      tell({ kind: 'stopped' })
    },
    resume: () => {
      tell({ kind: 'continued' })
      pace.resume()
    },
    kill: () => {},
    gone: work({ worker, doorsOpen, pace, tell }, shelf, options),
  }
}
