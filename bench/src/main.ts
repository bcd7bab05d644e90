import type { BenchArguments } from './arguments.ts'
import { UsageError, readArguments } from './arguments.ts'
import { lock } from './lock/suite.ts'
import { rowText, verdictsText } from './report.ts'
import type { Measured } from './row.ts'
import { saveResults } from './save.ts'

const SUITES = [lock]

async function main(): Promise<void> {
  const { suite, measures, isJson, isSmoke, isSaved } = argumentsOrUsage()
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
  if (!isJson && all.length > 0) process.stdout.write(`\n${verdictsText(all.map(({ row }) => row), suite)}`)
  if (isSaved) await saveResults(suite, all)
}

function argumentsOrUsage(): BenchArguments {
  return readArguments(process.argv.slice(2), SUITES)
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
