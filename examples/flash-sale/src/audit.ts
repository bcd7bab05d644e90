import type { Books, Sale } from './sale.ts'

/** What the audit looks at: how much there was, what stands in the store, which tokens were granted in which order. */
export interface Evidence {
  readonly stock: number
  readonly books: Books
  readonly tokens: readonly bigint[]
}

/** What the audit found. The stock is right when there is no problem. */
export interface Findings {
  readonly sold: number
  readonly left: number
  /** How many customers paid for what does not exist. */
  readonly oversold: number
  readonly areTokensIncreasing: boolean
  /** A sentence each. */
  readonly problems: readonly string[]
}

/** Checks the books: nothing sold twice, nothing lost, every grant with a greater token than the one before. */
export function audit({ stock, books, tokens }: Evidence): Findings {
  const sold = books.sales.length
  const { left } = books
  const oversold = Math.max(0, sold - stock)
  const disorder = tokens.findIndex((token, index) => index > 0 && token <= (tokens[index - 1] ?? 0n))
  const problems: string[] = []
  if (oversold > 0)
    problems.push(`${counted(oversold, 'customer')} paid for what does not exist: ${sold} sold of ${stock}.`)
  if (sold + left !== stock)
    problems.push(`The books do not balance: ${sold} sold and ${left} left make ${sold + left}, not ${stock}.`)
  if (disorder !== -1) problems.push(`Token ${tokens[disorder]} was granted after token ${tokens[disorder - 1]}.`)
  problems.push(...overwrites(books.sales))
  return { sold, left, oversold, areTokensIncreasing: disorder === -1, problems }
}

function overwrites(sales: readonly Sale[]): string[] {
  const found: string[] = []
  for (const [index, sale] of sales.entries()) {
    const previous = sales[index - 1]
    if (previous === undefined || sale.token.value > previous.token.value) continue
    found.push(
      `${wrote(sale)} over ${previous.left}, which worker ${previous.worker} had written with token ${previous.token.value}.`,
    )
    const next = sales[index + 1]
    if (next !== undefined && next.left !== sale.left - 1)
      found.push(`${wrote(next)} over that: it had read the stock before.`)
  }
  return found
}

function wrote({ worker, token, left }: Sale): string {
  return `Worker ${worker} with token ${token.value} wrote ${left} left`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
