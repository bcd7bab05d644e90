import { UsageError, readArguments, usageOf } from './arguments.ts'
import { config } from './config/suite.ts'
import { lock } from './lock/suite.ts'
import { rowText, verdictsText } from './report.ts'
import type { Measured } from './row.ts'
import { resilience } from './resilience/suite.ts'
import { saveResults } from './save.ts'
import type { Suite } from './suite.ts'

const SUITES = [lock, config, resilience]

async function main(): Promise<void> {
  const asked = readArguments(process.argv.slice(2), SUITES)
  if (asked === undefined) return void process.stdout.write(usageOf(SUITES))
  const { suite, measures, isJson, isSmoke, isSaved } = asked
  const all: Measured[] = []
  await suite.run(
    measures,
    { isSmoke, say },
    {
      measured: measured => {
        all.push(measured)
        process.stdout.write(isJson ? `${JSON.stringify(measured.row)}\n` : rowText(measured))
      },
      broke: (measure, error) => {
        process.exitCode = 1
        say(`${measure} broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      },
    },
  )
  if (!isJson && all.length > 0) process.stdout.write(`\n${endOf(suite, all, isSmoke)}`)
  if (!isSaved) return
  if (process.exitCode === 1) say('Nothing is kept, since not everything was measured.')
  else await saveResults(suite, all)
}

function endOf(suite: Suite, all: readonly Measured[], isSmoke: boolean): string {
  if (isSmoke) return 'A smoke run is too short to judge anything by.\n'
  return verdictsText(
    all.map(({ row }) => row),
    suite,
  )
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  say(error.message)
  process.exitCode = 1
}
