import { expect, it } from 'vitest'
import { legend, table } from './report.ts'

it('says on one line what the columns of the table mean that do not say it themselves', () => {
  const detail = { boundMs: 2_000, grantAfterMsMax: 900 }
  const rows = table([{ scenario: 's', backend: 'redis', runs: 2, violations: 0, control: { violations: 3 }, detail }])
  expect(rows.split('\n')).toEqual([
    'scenario  backend  runs  violations  in control  verdict  detail',
    's         redis    2     0           3           ok       boundMs=2000 grantAfterMsMax=900',
  ])
  expect(legend).toMatch(
    /^in control: violations without the protection, must be > 0\. detail: Ms = milliseconds;[^\n]+\.$/,
  )
})
