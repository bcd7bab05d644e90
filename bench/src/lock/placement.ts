import { spawnSync } from 'node:child_process'

/** On which cores servers and contestants run. */
interface Placement {
  readonly server: string
  readonly contestant: string
}

/**
 * Keeps a process to the cores of its part. Where server and client run on the same core or on two is else the scheduler's whim of
 * the moment, and changes a round trip's length by a factor of three: two cores are more like two machines. Where the machine has
 * one core, or no `taskset`, nothing is done.
 */
export function place(part: keyof Placement, pid: number | undefined): void {
  placement ??= { cores: readPlacement() }
  if (pid === undefined || placement.cores === undefined) return
  taskset('-a', '-p', '-c', placement.cores[part], String(pid))
}

/** The same for this process while it lasts; afterwards it runs wherever it could before. */
export function placed(part: keyof Placement, pid: number): Disposable {
  place(part, pid)
  const { cores } = placement ?? {}
  const all = cores && `${cores.server},${cores.contestant}`
  return { [Symbol.dispose]: () => void (all && taskset('-a', '-p', '-c', all, String(pid))) }
}

let placement: { readonly cores: Placement | undefined } | undefined

function readPlacement(): Placement | undefined {
  const cores = expand(taskset('-p', '-c', String(process.pid)).split(': ').at(-1) ?? '')
  const contestant = cores.at(-1)
  if (contestant === undefined || cores.length < 2) return undefined
  return { server: cores.slice(0, -1).join(','), contestant: String(contestant) }
}

/** Of `0,2-4`: 0, 2, 3, 4. */
export function expand(list: string): readonly number[] {
  const parts = list
    .trim()
    .split(',')
    .filter(part => /^\d+(-\d+)?$/.test(part))
  return parts.flatMap(part => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

function taskset(...args: readonly string[]): string {
  return spawnSync('taskset', args, { encoding: 'utf8' }).stdout ?? ''
}
