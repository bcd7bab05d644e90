import { runDemo } from './demo.ts'
import { BadOption, HELP, parseOptions } from './options.ts'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController()
  // The first Ctrl-C ends the sale and cleans up; whoever cannot wait for that presses it again.
  const stop = (): void => (interrupt.signal.aborted ? process.exit(130) : interrupt.abort())
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    const options = parseOptions(args)
    if (options !== undefined) return await runDemo(options, process.stdout, interrupt.signal)
    process.stdout.write(HELP)
    return 0
  } catch (error) {
    const isInterrupted = interrupt.signal.aborted
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      isInterrupted ? 'Interrupted: the workers are stopped, their data is deleted.\n' : `${message}\n`,
    )
    if (isInterrupted) return 130
    return error instanceof BadOption ? 2 : 3
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}
