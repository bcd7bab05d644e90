// Faults on real processes: `npm run faults -- [SUITE or SCENARIO] [--backend B] [--runs N] [--json]`.
import { CommandLineError, parseCommandLine, usage } from './command-line.ts'
import type { Request } from './command-line.ts'
import { House } from './house.ts'
import { jsonReport, legend, plainReport, table } from './report.ts'
import type { Task } from './row.ts'
import { isGood } from './row.ts'
import { playTasks } from './schedule.ts'
import { endWorkers } from './stage/worker-process.ts'

function tasksOf({ scenarios, backends, runs }: Request): readonly Task[] {
  return scenarios.flatMap(scenario =>
    scenario.backends
      .filter(backend => backends.includes(backend))
      .map(backend => ({ scenario, backend, runs: runs ?? scenario.runs })),
  )
}

async function main(): Promise<void> {
  const request = parseCommandLine(process.argv.slice(2))
  if (request === undefined) return void process.stdout.write(usage())
  const tasks = tasksOf(request)
  if (tasks.length === 0) {
    const names = request.scenarios.map(scenario => `${scenario.name} (${scenario.backends.join(', ')})`)
    throw new CommandLineError(`No scenario runs on ${request.backends.join(', ')}: there are ${names.join(', ')}.`)
  }
  await using house = new House()
  const rows = await playTasks(tasks, house, request.isJson ? jsonReport() : plainReport())
  if (!request.isJson) process.stdout.write(`\n${table(rows)}\n\n${legend}\n`)
  if (!rows.every(isGood)) process.exitCode = 1
}

// Servers end with us by themselves; workers that are stopped do not.
process.on('exit', endWorkers)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

try {
  await main()
} catch (error) {
  if (!(error instanceof CommandLineError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
