import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/**
 * How many CPUs this process may use: its cgroup's quota (version 2 or 1), else those of the machine.
 *
 * @param read for tests: a file as text, or undefined when there is none.
 */
export function cpuLimit(
  read: (path: string) => string | undefined = readText,
  cpus: number = availableParallelism(),
): number {
  const quota = quotaOf(read)
  return quota === undefined ? cpus : Math.min(quota, cpus)
}

function quotaOf(read: (path: string) => string | undefined): number | undefined {
  const [quotaUs, periodUs] = read('/sys/fs/cgroup/cpu.max')?.trim().split(' ') ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  ]
  const cpus = Number(quotaUs) / Number(periodUs)
  return Number.isFinite(cpus) && cpus > 0 ? cpus : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
