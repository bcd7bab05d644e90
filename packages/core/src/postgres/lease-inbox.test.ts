import { describe, expect, it } from 'vitest'
import type { InboxListener } from '../lease/waiting.ts'
import type { Random } from '../random.ts'
import { SimulatedClock } from '../testing/index.ts'
import { LeaseInbox } from './lease-inbox.ts'
import type { NoticeListener, Notices } from './notices.ts'

function scene({ claimMs = 3_000 } = {}) {
  const told: string[] = []
  const heard: string[] = []
  const locks: { readonly statement: string; readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    []
  const clock = new SimulatedClock()
  let channel: NoticeListener | undefined
  const notices = {
    listen: (_name: string, listener: NoticeListener) => {
      channel = listener
      return () => (channel = undefined)
    },
    ask: (statement: string) => new Promise<void>((resolve, reject) => locks.push({ statement, resolve, reject })),
  } as unknown as Notices
  const inbox = new LeaseInbox({
    clock,
    random: { next: () => 0 } as Random,
    notices,
    channel: 'inbox',
    watchKey: '17',
    claimMs,
    say: async (name, payload) => told.push(`${name} ${payload}`),
  })
  const listener: InboxListener = {
    onHandOff: handOff => void heard.push(`handed ${JSON.stringify(handOff)}`),
    onFirst: ms => void heard.push(`first ${ms}`),
    onGap: () => void heard.push('gap'),
  }
  inbox.add('p-1.a', listener)
  return { inbox, clock, told, heard, locks, notice: () => channel }
}

describe('LeaseInbox', () => {
  it('is not trusted for long until it has heard itself, each time that it was opened anew', () => {
    const { inbox, told, heard, notice } = scene()
    void inbox.open()
    expect([inbox.trustMs, inbox.epoch]).toEqual([1_000, 0])
    notice()?.live()
    expect([inbox.trustMs, inbox.epoch, told, heard]).toEqual([1_000, 1, ['inbox echo'], ['gap']])
    notice()?.told('echo')
    expect(inbox.trustMs).toBe(15_000)
    notice()?.down(new Error('cut'))
    expect(inbox.trustMs).toBe(1_000)
    notice()?.live()
    expect([inbox.trustMs, inbox.epoch, told.length]).toEqual([1_000, 2, 2])
  })

  it('that may be deaf has those who wait look twice in the time for which a lease waits for them', () => {
    expect(scene({ claimMs: 400 }).inbox.trustMs).toBe(200)
  })

  it('tells each request what is for it, and nobody what is for nobody', () => {
    const { inbox, heard, notice } = scene()
    void inbox.open()
    for (const payload of ['p-1.a 250', 'p-1.a 17 5000 3000', 'p-1.b 250', '', 'nonsense']) notice()?.told(payload)
    expect(heard).toEqual(['first 250', 'handed {"token":"17","nowUs":5000,"spanMs":3000}'])
    inbox.remove('p-1.a')
    notice()?.told('p-1.a 250')
    expect(heard).toHaveLength(2)
  })

  it('is watched once it has heard itself and its session has the lock, until its connection is lost', async () => {
    const { inbox, clock, heard, locks, notice } = scene()
    const opened = inbox.open()
    notice()?.live()
    notice()?.told('echo')
    expect([locks[0]?.statement, inbox.watchKey, inbox.isOpen]).toEqual([
      'SELECT pg_advisory_lock_shared(17)',
      undefined,
      false,
    ])
    locks[0]?.resolve()
    await opened
    expect([inbox.watchKey, inbox.isOpen, heard]).toEqual(['17', true, ['gap', 'gap']])
    notice()?.down(new Error('cut'))
    expect([inbox.watchKey, inbox.isOpen, inbox.losses]).toEqual([undefined, true, 1])
    notice()?.live()
    notice()?.told('echo')
    notice()?.down(new Error('cut again'))
    locks[1]?.resolve()
    await clock.advance(0)
    expect([inbox.watchKey, clock.pendingTimers]).toEqual([undefined, 0])
  })

  it('that does not hear what it said is waited for 250 ms, once', async () => {
    const { inbox, clock, notice } = scene()
    void inbox.open()
    await clock.advance(1_000)
    notice()?.live()
    await clock.advance(249)
    expect(inbox.isOpen).toBe(false)
    await clock.advance(1)
    expect([inbox.isOpen, inbox.watchKey, inbox.trustMs]).toEqual([true, undefined, 1_000])
    await inbox.open()
    expect(clock.pendingTimers).toBe(0)
  })

  it('is not waited for any more once nobody can watch it, or its connection is lost, and for 2 s at most', async () => {
    const refused = scene()
    void refused.inbox.open()
    refused.notice()?.live()
    refused.notice()?.told('echo')
    refused.locks[0]?.reject(new Error('permission denied for function pg_advisory_lock_shared'))
    await refused.inbox.open()
    const lost = scene()
    void lost.inbox.open()
    lost.notice()?.down(new Error('too many connections'))
    await lost.inbox.open()
    const slow = scene()
    void slow.inbox.open()
    await slow.clock.advance(1_999)
    expect([refused.inbox.isOpen, lost.inbox.isOpen, slow.inbox.isOpen]).toEqual([true, true, false])
    await slow.clock.advance(1)
    expect([slow.inbox.isOpen, refused.clock.pendingTimers, lost.clock.pendingTimers]).toEqual([true, 0, 0])
  })

  it('keeps nobody waiting, and leaves no timer, when it is closed while it opens', async () => {
    const { inbox, clock } = scene()
    const opened = inbox.open()
    inbox.close()
    await opened
    expect(clock.pendingTimers).toBe(0)
  })

  it('listens once, however often it is opened, and no more once it is closed', () => {
    const { inbox, notice } = scene()
    void inbox.open()
    const first = notice()
    void inbox.open()
    expect(notice()).toBe(first)
    inbox.close()
    expect(notice()).toBeUndefined()
  })
})
