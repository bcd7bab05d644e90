import { openShop } from './shop-process.ts'
import type { ShopKind } from './shop-process.ts'
import { Tally } from './tally.ts'
import { Visitors } from './visitors.ts'

/** How long the parts of the story are. */
export interface StoryLengths {
  /** What a request costs the shop, in milliseconds of CPU. */
  readonly workMs: number
  readonly measureMs: number
  readonly stepMs: number
  /** Visits for each step, as a multiple of what the shop can serve. */
  readonly loads: readonly number[]
}

/** As `npm run hot-product` tells it. */
export const FULL: StoryLengths = {
  workMs: 5,
  measureMs: 2_000,
  stepMs: 1_000,
  loads: [0.5, 0.5, 3, 3, 3, 3, 3, 3, 0.5, 0.5, 0.5],
}

const BAR = 40

/** A shop has a hot product: three times as many come as it can serve. First without protection, then with it. */
export async function tellStory(say: (line: string) => void, lengths: StoryLengths = FULL): Promise<void> {
  say('█ served  ░ asked to come again later  × gave up after a second, or was cut off')
  const ends = new Map<ShopKind, string>()
  for (const kind of ['unprotected', 'protected'] as const) {
    const { capacity, crowd } = await visit(kind, say, lengths)
    say('')
    ends.set(
      kind,
      `${percent(crowd.served / capacity)} of what it can serve, within ${within(crowd)}; ${endsOf(crowd)}`,
    )
  }
  say('In the crowd, while three times too many came:')
  for (const [kind, end] of ends) say(`  ${kind.padEnd(11)}  ${end}`)
}

function endsOf({ failed, refused, rude }: Tally): string {
  const untold = rude === 0 ? '' : `, ${rude} of them not told when`
  return `${failed} waited for nothing, ${refused} were told at once to come later${untold}`
}

function within({ slowMs }: Tally): string {
  return slowMs === undefined ? '-' : `${slowMs.toFixed(0)} ms`
}

async function visit(
  kind: ShopKind,
  say: (line: string) => void,
  { workMs, measureMs, stepMs, loads }: StoryLengths,
): Promise<{ readonly capacity: number; readonly crowd: Tally }> {
  await using shop = await openShop(kind, workMs)
  const visitors = new Visitors(shop.port)
  const perSecond = await visitors.measureCapacity(measureMs)
  say(`The ${kind} shop serves ${perSecond.toFixed(0)} visitors a second at most.`)
  say('  ends/s  served/s  refused/s  failed/s  99 % within')
  const crowd = new Tally()
  let step = new Tally()
  let isCrowded = false
  let crowdedMs = 0
  for (const load of loads) {
    step = new Tally()
    isCrowded = load > 1
    // A visit counts for the time in which it ends.
    await visitors.come(perSecond * load, stepMs, visit => {
      step.add(visit)
      if (isCrowded) crowd.add(visit)
    })
    if (isCrowded) crowdedMs += stepMs
    say(lineOf(step, stepMs, perSecond))
  }
  visitors.leave()
  return { capacity: (perSecond * crowdedMs) / 1_000, crowd }
}

function lineOf(tally: Tally, ms: number, capacity: number): string {
  const rate = (count: number): string => ((count / ms) * 1_000).toFixed(0)
  const { served, refused, failed, all } = tally
  const cells = [rate(all).padStart(8), rate(served).padStart(9), rate(refused).padStart(10), rate(failed).padStart(9)]
  const bar = (count: number): number => Math.round((count / ms) * 1_000 * (BAR / (3 * capacity)))
  const bars = `${'█'.repeat(bar(served))}${'░'.repeat(bar(refused))}${'×'.repeat(bar(failed))}`
  return `${cells.join(' ')}  ${within(tally).padStart(11)}  ${bars.slice(0, BAR + 5)}`
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(0)} %`
}
