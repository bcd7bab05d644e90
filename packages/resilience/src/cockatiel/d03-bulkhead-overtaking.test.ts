import { describe, expect, test } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { COCKATIELS, openEnded, turn } from './cockatiels.fixture.ts'

interface Bulkhead {
  execute(work: () => Promise<unknown>): Promise<unknown>
}

/** One runs, one waits, and two more come in the moment when the first ends. What begins, in order, and what the one that waits gets. */
async function race(policy: Bulkhead) {
  const begun: string[] = []
  const call = (name: string): Promise<unknown> => policy.execute(async () => void begun.push(name))
  const first = openEnded()
  const running = policy.execute(first.work)
  const waiting = call('waiting').then(
    () => 'served',
    () => 'refused',
  )
  const intruders = first.work().then(() => Promise.allSettled([call('intruder 1'), call('intruder 2')]))
  first.finish()
  await Promise.all([running, intruders])
  await turn()
  return { begun, waiting: await waiting }
}

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: a call that comes when the slot is free overtakes, and the one that had waited is refused.', async () => {
    const { begun, waiting } = await race(cockatiel.bulkhead(1, 1))
    expect(begun[0]).toBe('intruder 1')
    expect(waiting).toBe('refused')
  })
})

test('D3: the slot is handed to the call that waits, in the moment when it comes free.', async () => {
  const { begun, waiting } = await race(bulkhead({ limit: 1, queue: 1 }))
  expect(begun[0]).toBe('waiting')
  expect(waiting).toBe('served')
})
