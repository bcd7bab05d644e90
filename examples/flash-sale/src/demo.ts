import { audit } from './audit.ts'
import { Chronicle } from './chronicle.ts'
import type { DemoOptions } from './options.ts'
import type { Verdict } from './verdict.ts'
import { verdict } from './verdict.ts'
import { wrapped } from './view/line-text.ts'
import { paintFor } from './view/paint.ts'
import { resultTable } from './view/table.ts'
import { accountOf, watchSale } from './watch-sale.ts'

/** Longer lines are hard to read. */
const COLUMNS_MAX = 110

/**
 * Runs the sale, shows it, and audits it. Whatever it started is gone when it settles.
 *
 * @returns the exit code; rejects when the sale could not be brought to its end, or with the signal's reason
 */
export async function runDemo(
  options: DemoOptions,
  output: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<Verdict['code']> {
  const chronicle = new Chronicle()
  const books = await watchSale(options, chronicle, { output, signal })
  const account = accountOf(options, chronicle)
  const findings = audit({ stock: options.stock, books, tokens: account.tokens })
  const { code, sentences } = verdict(account, findings, options)
  const paint = paintFor(output, process.env)
  const [headline = '', ...reasons] = sentences
  const columns = Math.min(output.columns ?? COLUMNS_MAX, COLUMNS_MAX) - 2
  const last = [
    ...wrapped(headline, columns).map(line => paint(code === 0 ? 'green' : 'red', line)),
    ...reasons.flatMap(reason => wrapped(reason, columns)),
  ]
  output.write(['', ...resultTable(account, findings, paint), '', ...last.map(line => ` ${line}`), '', ''].join('\n'))
  return code
}
