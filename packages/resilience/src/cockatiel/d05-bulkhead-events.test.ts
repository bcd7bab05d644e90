import type { Event, IFailureEvent, ISuccessEvent } from 'cockatiel'
import { describe, expect, test } from 'vitest'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { COCKATIELS, failing, ignored } from './cockatiels.fixture.ts'

interface Heard {
  readonly onSuccess: Event<ISuccessEvent>
  readonly onFailure: Event<IFailureEvent>
  execute(work: () => Promise<unknown>): Promise<unknown>
}

async function told(policy: Heard): Promise<{ readonly successes: number; readonly failures: number }> {
  let successes = 0
  let failures = 0
  policy.onSuccess(() => void (successes += 1))
  policy.onFailure(() => void (failures += 1))
  await policy.execute(() => Promise.resolve('fine'))
  await policy.execute(failing).catch(ignored)
  return { successes, failures }
}

describe.each(COCKATIELS)('$name', ({ cockatiel }) => {
  test('The control: nobody hears how calls of a bulkhead end.', async () => {
    expect(await told(cockatiel.bulkhead(1) as unknown as Heard)).toEqual({ successes: 0, failures: 0 })
  })
})

test('D5: `onSuccess` and `onFailure` of a bulkhead tell of each end.', async () => {
  expect(await told(bulkhead({ limit: 1 }))).toEqual({ successes: 1, failures: 1 })
})
