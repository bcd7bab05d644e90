#!/usr/bin/env node
import { CommandError } from './exit-codes.ts'
import { run } from './run.ts'

// Once ends it in good order; again ends scripts as well; a third time is as rude as signals are.
const [end, hurry] = [new AbortController(), new AbortController()]
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (hurry.signal.aborted) process.exit(1)
    if (end.signal.aborted) hurry.abort()
    end.abort(new CommandError('unconfirmed', 'Interrupted before the end was known.'))
  })
}
// Whoever reads our output may leave, as `head` does.
process.stdout.on('error', (error: Error & { readonly code?: string }) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

process.exitCode = await run(process.argv.slice(2), { signal: end.signal, urgent: hurry.signal })
