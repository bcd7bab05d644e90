import { orAborted } from '@holdfast/core'
import { Account } from './account.ts'
import type { Chronicle } from './chronicle.ts'
import { machineMs } from './happening.ts'
import type { DemoOptions } from './options.ts'
import type { Books } from './sale.ts'
import { setStage } from './stage.ts'
import { playStory } from './story.ts'
import { openView } from './view/open-view.ts'
import { paintFor } from './view/paint.ts'

const FRAME_MS = 50
/** After so long everybody's news has come, so that it can be told in order. */
const SETTLED_MS = 60
const LIMIT_MS = 120_000

/** Where the sale is shown, and what breaks it off. */
export interface Audience {
  readonly output: NodeJS.WriteStream
  readonly signal: AbortSignal
}

/** Plays the story and shows it while it goes on. Returns what stands in the store at the end. */
export async function watchSale(options: DemoOptions, chronicle: Chronicle, audience: Audience): Promise<Books> {
  const { output, signal } = audience
  const view = openView({ ...options, output, title: titleOf(options), paint: paintFor(output, process.env) })
  const account = new Account(options.stock, options.workers)
  const advance = (nowMs: number): number => {
    for (const happening of chronicle.settledBefore(nowMs)) account.add(happening)
    return nowMs
  }
  view.update(account, machineMs())
  const ticker = setInterval(() => view.update(account, advance(machineMs() - SETTLED_MS)), FRAME_MS)
  try {
    return await play(options, chronicle, signal)
  } finally {
    clearInterval(ticker)
    const nowMs = advance(machineMs())
    view.end(account, account.latestMs ?? nowMs)
  }
}

async function play(options: DemoOptions, chronicle: Chronicle, signal: AbortSignal): Promise<Books> {
  await using stage = await setStage(options.backend)
  await stage.shop.stockUp(options.stock)
  signal.throwIfAborted()
  const crew = stage.hire({ ...options, onHappening: chronicle.add })
  using limit = timeLimit(LIMIT_MS)
  await orAborted(playStory(crew, chronicle, options.stock), AbortSignal.any([signal, limit.signal]))
  return await stage.shop.readBooks()
}

function timeLimit(limitMs: number): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const late = (): void => controller.abort(new Error(`The sale was not over after ${limitMs / 1_000} s.`))
  const timer = setTimeout(late, limitMs)
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/** All that happened, told in order. */
export function accountOf({ stock, workers }: DemoOptions, chronicle: Chronicle): Account {
  const account = new Account(stock, workers)
  for (const happening of chronicle.inOrder()) account.add(happening)
  return account
}

function titleOf({ backend, isFenced, stock, workers }: DemoOptions): string {
  const crew = `${workers} ${backend === 'memory' ? 'tasks' : 'processes'}`
  return `Flash sale of ${stock} items on ${backend}: ${crew}, ${isFenced ? 'every write fenced' : 'UNSAFE, no fencing'}`
}
