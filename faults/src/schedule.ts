import type { House } from './house.ts'
import type { Row, Task } from './row.ts'
import { playTask } from './row.ts'

// The machine that this is made for has two cores.
const LANES = 2
// What is about configuration starts its own server.
const ELSEWHERE = { site: undefined, leave: async (): Promise<void> => {} }

/** Hears of tasks. */
export interface Audience {
  began(task: Task): void
  ended(row: Row, tookMs: number): void
}

/** Plays all tasks: two at a time, and those that a busy machine would falsify alone, at the end. */
export async function playTasks(tasks: readonly Task[], house: House, audience: Audience): Promise<readonly Row[]> {
  const rows: Row[] = []
  const play = async (queue: Task[]): Promise<void> => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift())
      rows.push(await playOne(task, house, audience))
  }
  const together = tasks.filter(task => task.scenario.isTimed !== true)
  await Promise.all(Array.from({ length: LANES }, () => play(together)))
  await play(tasks.filter(task => task.scenario.isTimed === true))
  return rows
}

async function playOne(task: Task, house: House, audience: Audience): Promise<Row> {
  audience.began(task)
  const startedAtMs = performance.now()
  const { scenario, backend } = task
  const { site, leave } = 'play' in scenario ? ELSEWHERE : await house.enter(scenario, backend)
  try {
    const row = await playTask(task, site)
    audience.ended(row, performance.now() - startedAtMs)
    return row
  } finally {
    await leave()
  }
}
