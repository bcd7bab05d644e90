import type { Account } from '../account.ts'
import type { Findings } from '../audit.ts'
import { percentile } from '../percentile.ts'
import type { Paint, Style } from './paint.ts'

type Row = readonly [measure: string, value: string, style?: Style]

/** What the sale comes to, as lines. */
export function resultTable(account: Account, findings: Findings, paint: Paint): string[] {
  const rows = [...stockRows(findings), ...staleRows(account), ...lockRows(account, findings)]
  const width = Math.max(...rows.map(([measure]) => measure.length)) + 3
  const rule = paint('dim', '─'.repeat(width + Math.max(...rows.map(([, value]) => value.length))))
  const lines = rows.map(([measure, value, style]) => {
    const text = style === undefined ? value : paint(style, value)
    return ` ${measure.padEnd(width)}${text}`
  })
  return [` ${rule}`, ...lines, ` ${rule}`]
}

function stockRows({ sold, left, oversold }: Findings): Row[] {
  return [
    ['sold', String(sold)],
    ['left', String(left)],
    ['oversold', String(oversold), oversold === 0 ? 'green' : 'alarm'],
  ]
}

function staleRows({ refused, overwrites }: Account): Row[] {
  const accepted: Row[] = overwrites === 0 ? [] : [['stale writes accepted', String(overwrites), 'alarm']]
  return [['stale writes refused', String(refused), refused === 0 ? 'dim' : 'green'], ...accepted]
}

function lockRows({ tokens, handOffsMs, takeOversMs, guarantee }: Account, { areTokensIncreasing }: Findings): Row[] {
  const order = areTokensIncreasing ? 'strictly increasing' : 'NOT increasing'
  return [
    ['guarantee of the leases', guarantee ?? 'none'],
    ['grants', String(tokens.length)],
    ['hand-offs', String(handOffsMs.length)],
    ['hand-off p50 / p99', `${ms(percentile(handOffsMs, 50))} / ${ms(percentile(handOffsMs, 99))}`],
    ['taken over from a lost holder', takeOversMs.length === 0 ? 'none' : `after ${takeOversMs.map(ms).join(', ')}`],
    ['first token', String(tokens[0] ?? 'none')],
    ['last token', `${tokens.at(-1) ?? 'none'}  (${order})`, areTokensIncreasing ? undefined : 'alarm'] as Row,
  ]
}

function ms(value: number | undefined): string {
  if (value === undefined) return 'none'
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`
}
