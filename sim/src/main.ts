// Virtual time: `npm run sim -- [locks | quorum | overload] [--seed N] [--runs K] [--json]`, `npm run sim -- plots`.
import { CommandLineError, headline, parseCommandLine, usage } from './command-line.ts'
import { simulateLocks } from './locks/suite.ts'
import { overload } from './overload/suite.ts'
import { drawPlots } from './plots/draw.ts'
import { simulateQuorums } from './quorum/suite.ts'
import { table, verdict } from './report.ts'
import type { Row, Suite, Task } from './row.ts'

const SUITES: readonly Suite[] = [overload]

async function main(): Promise<void> {
  const request = parseCommandLine(
    process.argv.slice(2),
    SUITES.map(({ name }) => name),
  )
  if (request === undefined) return void process.stdout.write(usage(SUITES))
  if (request.kind === 'plots') return drawPlots(line => process.stdout.write(`${line}\n`))
  const head = headline(request)
  if (head !== undefined) process.stdout.write(`${head}\n`)
  if (request.kind === 'locks' || request.kind === 'quorum') {
    const line = (text: string): void => {
      clearProgress()
      process.stdout.write(`${text}\n`)
    }
    const output = { line, progress: writeProgress }
    const isFine = await (request.kind === 'locks' ? simulateLocks(request, output) : simulateQuorums(request, output))
    if (!isFine) process.exitCode = 1
    return
  }
  const suite = SUITES.find(({ name }) => name === request.suite) as Suite
  const rows: Row[] = []
  const tasks = suite.tasks(request.seeds)
  for (const task of tasks) {
    showProgress(task, rows.length, tasks.length)
    const row = await task.run()
    rows.push(row)
    if (request.isJson) process.stdout.write(`${JSON.stringify(row)}\n`)
  }
  clearProgress()
  if (!request.isJson) process.stdout.write(`${table(rows)}\n\n${verdict(rows)}\n`)
  if (rows.some(({ violations }) => violations.length > 0)) process.exitCode = 1
}

// To a person at a terminal alone: lines of JSON may go into a file beside it.
function showProgress({ case: name, shape, seed }: Task, done: number, count: number): void {
  writeProgress(`${done + 1}/${count} ${name} ${shape} seed ${seed}`)
}

function writeProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

try {
  await main()
} catch (error) {
  if (!(error instanceof CommandLineError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
