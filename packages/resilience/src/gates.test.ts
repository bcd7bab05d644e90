import { SimulatedClock } from '@holdfast/core/testing'
import { describe, expect, it, vi } from 'vitest'
import type { Call } from './call.ts'
import { RejectedError, rejected } from './errors.ts'
import { pipeline, policyOf } from './pipeline.ts'
import type { Policy } from './policy.ts'
import { rateLimit } from './rate-limit/rate-limit.ts'
import { retry } from './retry/retry.ts'
import { openRule } from './rule.ts'
import type { Admission, Ended, Gate, Layer, StageOptions } from './stage.ts'
import { timeout } from './timeout/timeout.ts'

interface Seen {
  readonly clock: SimulatedClock
  readonly log: string[]
  readonly ends: Ended[]
}

function scene(): Seen {
  return { clock: new SimulatedClock(), log: [], ends: [] }
}

function refusal(policy: string): RejectedError {
  return rejected({ policy, rule: policy, ruleVersion: 1, reason: 'queue-full' })
}

function gate(
  { clock, log, ends }: Seen,
  name: string,
  options: StageOptions & { enter?: (call: Call) => Admission; leave?: () => void } = {},
): Policy {
  const { enter = () => 7, leave = () => {}, ...own } = options
  const stage: Gate = {
    kind: 'gate',
    policy: name,
    clock,
    rule: openRule<StageOptions, StageOptions>(name, own, given => ({ ...given })),
    describe: () => ({}),
    enter(call) {
      log.push(`${name} enters`)
      return enter(call)
    },
    leave(_call, ticket, ended) {
      log.push(`${name} leaves with ${ticket}: ${ended.kind}`)
      ends.push(ended)
      leave()
    },
    undo: (_call, ticket) => void log.push(`${name} is undone with ${ticket}`),
  }
  return policyOf(stage, {})
}

describe('gates side by side', () => {
  it('are asked in order, and told in reverse how it ended', async () => {
    const seen = scene()
    const policy = pipeline(gate(seen, 'a'), gate(seen, 'b'))
    await expect(policy.execute(() => 'done')).resolves.toBe('done')
    expect(seen.log).toEqual(['a enters', 'b enters', 'b leaves with 7: returned', 'a leaves with 7: returned'])
  })

  it('that admitted are undone in reverse when a later one refuses, and the work is not begun', async () => {
    const seen = scene()
    const policy = pipeline(gate(seen, 'a'), gate(seen, 'b'), gate(seen, 'c', { enter: () => refusal('c') }))
    let isBegun = false
    await expect(policy.execute(() => void (isBegun = true))).rejects.toMatchObject({ rejection: { policy: 'c' } })
    expect(isBegun).toBe(false)
    expect(seen.log.slice(3)).toEqual(['b is undone with 7', 'a is undone with 7'])
  })

  it('go on after one that had to wait, with the time as it is then', async () => {
    const seen = scene()
    const waits = new Promise<number>(resolve => seen.clock.setTimer(() => resolve(3), 50))
    let nowMs = 0
    const late = gate(seen, 'late', { enter: call => Math.sign((nowMs = call.nowMs)) })
    const run = pipeline(gate(seen, 'waits', { enter: () => waits }), late).execute(() => 'done')
    await seen.clock.advance(50)
    await expect(run).resolves.toBe('done')
    expect(nowMs).toBe(1_050)
    expect(seen.ends.map(({ durationMs }) => durationMs)).toEqual([0, 0])
  })

  it('are undone when one that waited refuses, and it is counted as its refusal', async () => {
    const seen = scene()
    const waits = gate(seen, 'waits', { enter: () => Promise.reject(refusal('waits')) })
    const policy = pipeline(gate(seen, 'a'), waits, gate(seen, 'c'))
    await expect(policy.execute(() => 'done')).rejects.toThrow('Refused by waits')
    expect(seen.log).toEqual(['a enters', 'waits enters', 'a is undone with 7'])
    expect(waits.describe()).toMatchObject({ admitted: 0, refused: 1 })
  })

  it('are undone when one behind a wait refuses', async () => {
    const seen = scene()
    const waits = gate(seen, 'waits', { enter: () => Promise.resolve(5) })
    await expect(
      pipeline(gate(seen, 'a'), waits, gate(seen, 'c', { enter: () => refusal('c') })).execute(() => 1),
    ).rejects.toThrow('Refused by c')
    expect(seen.log.slice(3)).toEqual(['waits is undone with 5', 'a is undone with 7'])
  })

  it('are not asked for a call that was given up before', async () => {
    const seen = scene()
    const reason = new Error('gone')
    await expect(gate(seen, 'a').execute(() => 1, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(seen.log).toEqual([])
  })

  it('are all undone when the call is given up while the last of them waits', async () => {
    const seen = scene()
    const caller = new AbortController()
    const waits = new Promise<number>(resolve => seen.clock.setTimer(() => resolve(3), 50))
    const run = pipeline(gate(seen, 'a'), gate(seen, 'waits', { enter: () => waits })).execute(() => 1, caller.signal)
    caller.abort(new Error('gone'))
    const [settled] = await Promise.allSettled([run, seen.clock.advance(50)])
    expect(settled).toMatchObject({ status: 'rejected', reason: { message: 'gone' } })
    expect(seen.log.slice(2)).toEqual(['waits is undone with 3', 'a is undone with 7'])
  })

  it('do not take the reason of an abort for a refusal of their own, even if it is another one’s', async () => {
    const seen = scene()
    const caller = new AbortController()
    const waits = gate(seen, 'waits', {
      enter: call => new Promise((_resolve, reject) => void call.onCancel(reject as (reason: unknown) => void)),
    })
    const run = waits.execute(() => 1, caller.signal)
    caller.abort(refusal('other'))
    await expect(run).rejects.toMatchObject({ rejection: { policy: 'other' } })
    expect(waits.describe()).toMatchObject({ refused: 0 })
  })

  it('are told whether the work threw, was given up or was refused further in', async () => {
    const seen = scene()
    const policy = gate(seen, 'a')
    const caller = new AbortController()
    const fails = (error: unknown) => () => Promise.reject(error)
    await expect(policy.execute(fails(new Error('down')))).rejects.toThrow('down')
    await expect(policy.execute(fails(refusal('inner')))).rejects.toThrow('inner')
    const run = policy.execute(({ signal }) => {
      caller.abort(new Error('gone'))
      return Promise.reject(signal.reason)
    }, caller.signal)
    await expect(run).rejects.toThrow('gone')
    expect(seen.ends.map(({ kind }) => kind)).toEqual(['threw', 'rejected', 'cancelled'])
  })

  it('all leave although one of them fails at it', async () => {
    const seen = scene()
    const breaks = gate(seen, 'b', {
      leave: () => {
        throw new Error('a defect')
      },
    })
    await expect(pipeline(gate(seen, 'a'), breaks).execute(() => 'done')).resolves.toBe('done')
    expect(seen.log[3]).toBe('a leaves with 7: returned')
  })

  it('all leave whatever is thrown: a proxy that is revoked, or an object that throws when it is looked at', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const secretive = {
      get code(): never {
        throw new Error('Not for you.')
      },
    }
    for (const thrown of [proxy, secretive]) {
      const seen = scene()
      let isSame = false
      await pipeline(gate(seen, 'a'))
        .execute(() => Promise.reject(thrown as Error))
        .catch((error: unknown) => void (isSame = error === thrown))
      expect(isSame).toBe(true)
      expect(seen.log).toEqual(['a enters', 'a leaves with 7: threw'])
    }
  })

  it('are undone when one fails as it is asked', async () => {
    const seen = scene()
    const breaks = gate(seen, 'b', {
      enter: () => {
        throw new Error('a defect')
      },
    })
    await expect(pipeline(gate(seen, 'a'), breaks).execute(() => 'done')).rejects.toThrow('a defect')
    expect(seen.log[2]).toBe('a is undone with 7')
  })
})

describe('the clock', () => {
  it('is read once for all that begins at once, and once more by each run of gates that hears of the end', async () => {
    const seen = scene()
    const { clock } = seen
    const policy = pipeline(
      rateLimit({ clock, limit: 10 }),
      gate(seen, 'a'),
      retry({ clock, budget: false }),
      gate(seen, 'b'),
      timeout({ clock, timeoutMs: 100 }),
    )
    const quota = pipeline(rateLimit({ clock, limit: 10 }), timeout({ clock, timeoutMs: 100 }))
    const reads = vi.spyOn(clock, 'monotonicMs')
    await policy.execute(() => 'done')
    expect(reads).toHaveBeenCalledTimes(3)
    reads.mockClear()
    await quota.execute(() => 'done')
    expect(reads).toHaveBeenCalledTimes(1)
  })

  it.each(['a gate', 'a layer'])('is read again behind %s that had to wait', async kind => {
    const seen = scene()
    const { clock } = seen
    const sleep = (): Promise<number> => new Promise(resolve => clock.setTimer(() => resolve(1), 60))
    const late: Layer = {
      kind: 'layer',
      policy: 'late',
      clock,
      rule: undefined,
      describe: () => ({}),
      run: async (call, next) => {
        await sleep()
        return await next(call)
      },
    }
    const waits = kind === 'a gate' ? gate(seen, 'waits', { enter: sleep }) : policyOf(late, {})
    const policy = pipeline(gate(seen, 'first'), waits, timeout({ clock, timeoutMs: 100 }))
    const run = policy.execute(sleep)
    await clock.advance(120)
    await expect(run).resolves.toBe(1)
  })
})

describe('the mode of a gate', () => {
  it('`shadow` counts what it would refuse, lets it through, and gives no ticket back', async () => {
    const seen = scene()
    const shadow = gate(seen, 'a', { mode: 'shadow', enter: () => refusal('a') })
    await expect(shadow.execute(() => 'done')).resolves.toBe('done')
    expect(shadow.describe()).toMatchObject({ mode: 'shadow', admitted: 0, refused: 0, wouldRefuse: 1 })
    expect(seen.log).toEqual(['a enters'])
  })

  it('`off` does not ask it, and tells nobody of the end', async () => {
    const seen = scene()
    const off = gate(seen, 'a', { mode: 'off', enter: () => refusal('a') })
    let heard = 0
    off.onSuccess(() => (heard += 1))
    await expect(off.execute(() => 'done')).resolves.toBe('done')
    expect(seen.log).toEqual([])
    expect(heard).toBe(0)
  })
})

describe('who listens to a policy', () => {
  it('hears each member of a pipeline, with how long it took', async () => {
    const seen = scene()
    const [a, b] = [gate(seen, 'a'), gate(seen, 'b')]
    const policy = pipeline(a, b)
    const heard: string[] = []
    for (const [name, member] of Object.entries({ a, b, policy })) {
      member.onSuccess(({ duration }) => heard.push(`${name} after ${duration}`))
      member.onFailure(({ reason }) => heard.push(`${name} failed: ${(reason as { error: Error }).error.message}`))
    }
    const run = policy.execute(() => new Promise(resolve => seen.clock.setTimer(() => resolve(1), 20)))
    await seen.clock.advance(20)
    await run
    await expect(policy.execute(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(heard).toEqual([
      'b after 20',
      'a after 20',
      'policy after 20',
      'b failed: down',
      'a failed: down',
      'policy failed: down',
    ])
  })

  it('hears a refusal as a failure, of the one that refused', async () => {
    const seen = scene()
    const [a, b] = [gate(seen, 'a'), gate(seen, 'b', { enter: () => refusal('b') })]
    const heard: string[] = []
    a.onFailure(() => heard.push('a'))
    b.onFailure(() => heard.push('b'))
    await expect(pipeline(a, b).execute(() => 1)).rejects.toThrow('Refused by b')
    expect(heard).toEqual(['b'])
  })

  it('hears nothing after `dispose`, which may be called twice', async () => {
    const seen = scene()
    const a = gate(seen, 'a')
    let heard = 0
    const first = a.onSuccess(() => (heard += 1))
    a.onSuccess(() => (heard += 10))
    first.dispose()
    first.dispose()
    await a.execute(() => 1)
    expect(heard).toBe(10)
  })
})
