import { expect, it } from 'vitest'
import { simulateLocks } from './suite.ts'

async function told(
  request: { readonly runs: number; readonly hasGuards: boolean },
  seed = 1,
): Promise<{ readonly isWell: boolean; readonly lines: readonly Record<string, unknown>[] }> {
  const lines: Record<string, unknown>[] = []
  const line = (text: string): void => void lines.push(JSON.parse(text) as Record<string, unknown>)
  const isWell = await simulateLocks({ kind: 'locks', seed, isJson: true, ...request }, { line, progress: () => {} })
  return { isWell, lines }
}

it('finds nothing with guards, gives a history again, and shows that something would have been found', async () => {
  const { isWell, lines } = await told({ runs: 20, hasGuards: true })
  expect(lines).toMatchObject([
    { suite: 'locks', runs: 20, violations: 0, failedSeeds: [] },
    { suite: 'locks-replay', violations: 0 },
    { suite: 'locks-control', violations: 0, kind: 'lost-update' },
  ])
  expect(isWell).toBe(true)
})

it('finds what goes wrong without guards, says how to have it again, and has it again', async () => {
  const { isWell, lines } = await told({ runs: 100, hasGuards: false })
  expect(isWell).toBe(false)
  const [failure] = lines
  const seed = failure?.['seed'] as number
  expect(failure?.['replay']).toBe(`npm run sim -- locks --seed ${seed} --runs 1 --without-guards`)
  const again = await told({ runs: 1, hasGuards: false }, seed)
  expect(again.lines[0]).toEqual(failure)
})
