import type { Suite } from '../row.ts'
import { loadTasks } from './load-cases.ts'
import { metastableTasks } from './metastable.ts'
import { trapTasks } from './timeout-trap.ts'

/** What adaptive limits and retry budgets promise, on made-up servers. */
export const overload: Suite = {
  name: 'overload',
  about: 'adaptive limits and retry budgets under more load than a server can do, with controls',
  tasks: seeds => [...loadTasks(seeds), ...trapTasks(seeds), ...metastableTasks(seeds)],
}
