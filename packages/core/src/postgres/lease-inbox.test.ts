import { describe, expect, it } from 'vitest'
import type { InboxListener } from '../lease/waiting.ts'
import type { Random } from '../random.ts'
import { LeaseInbox } from './lease-inbox.ts'
import type { NoticeListener, Notices } from './notices.ts'

function scene({ claimMs = 3_000 } = {}) {
  const told: string[] = []
  const heard: string[] = []
  let channel: NoticeListener | undefined
  const notices = {
    listen: (_name: string, listener: NoticeListener) => {
      channel = listener
      return () => (channel = undefined)
    },
  } as unknown as Notices
  const inbox = new LeaseInbox({
    random: { next: () => 0 } as Random,
    notices,
    channel: 'inbox',
    claimMs,
    say: async (name, payload) => told.push(`${name} ${payload}`),
  })
  const listener: InboxListener = {
    onHandOff: handOff => void heard.push(`handed ${JSON.stringify(handOff)}`),
    onFirst: ms => void heard.push(`first ${ms}`),
    onGap: () => void heard.push('gap'),
  }
  inbox.add('p-1.a', listener)
  return { inbox, told, heard, notice: () => channel }
}

describe('LeaseInbox', () => {
  it('is not trusted for long until it has heard itself, each time that it was opened anew', () => {
    const { inbox, told, heard, notice } = scene()
    inbox.open()
    expect([inbox.isOpen, inbox.trustMs, inbox.epoch]).toEqual([true, 1_000, 0])
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
    inbox.open()
    for (const payload of ['p-1.a 250', 'p-1.a 17 5000 3000', 'p-1.b 250', '', 'nonsense']) notice()?.told(payload)
    expect(heard).toEqual(['first 250', 'handed {"token":"17","nowUs":5000,"spanMs":3000}'])
    inbox.remove('p-1.a')
    notice()?.told('p-1.a 250')
    expect(heard).toHaveLength(2)
  })

  it('listens once, however often it is opened, and no more once it is closed', () => {
    const { inbox, notice } = scene()
    inbox.open()
    const first = notice()
    inbox.open()
    expect(notice()).toBe(first)
    inbox.close()
    expect(notice()).toBeUndefined()
  })
})
