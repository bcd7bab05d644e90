import type { Command } from '../session.ts'
import { diff } from './diff.ts'
import { get } from './get.ts'
import { history } from './history.ts'
import { plan } from './plan.ts'
import { publish } from './publish.ts'
import { render } from './render.ts'
import { rollback } from './rollback.ts'
import { abort, promote, resume } from './rollout.ts'
import { set } from './set.ts'
import { instances, status } from './status.ts'
import { watch } from './watch.ts'

/** Everything that `holdfast config` can do, as the help lists it. */
export const COMMANDS: readonly Command[] = [
  get,
  set,
  publish,
  plan,
  diff,
  history,
  rollback,
  promote,
  abort,
  resume,
  status,
  instances,
  watch,
  render,
]
