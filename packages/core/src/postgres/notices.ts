import { createHash } from 'node:crypto'
import type { Client, Notification } from 'pg'
import type { Clock } from '../clock.ts'
import type { Random } from '../random.ts'
import { reportListenerError } from '../telemetry.ts'
import { CommandDeadline, TIME_IS_OVER } from './command-deadline.ts'
import { isLost, isStatementError, refusal, withoutSecrets } from './errors.ts'

const PROBE_MS = 10_000
const ANSWER_MS = 5_000
const RECONNECT_MS_MAX = 1_000
const REFUSED_MS = 10_000

/** How notices are heard. */
export interface NoticesSettings {
  readonly clock: Clock
  readonly random: Random
  /** Makes a connection, not connected yet, that is used for nothing else. */
  readonly open: () => Promise<Client>
}

/** Who hears what a channel tells. */
export interface NoticeListener {
  told(payload: string): void
  /** From now on he hears. */
  live(): void
  down(cause: unknown): void
}

interface Channel {
  readonly listeners: Set<NoticeListener>
  /** Whether its listeners were told that they hear, or that they do not. */
  state: 'starting' | 'live' | 'down'
}

/** What is asked once on the connection that listens. */
interface Errand {
  readonly statement: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Where the changes of a directory are told: a name of at most 63 bytes that no two directories share. */
export function channelOf(schema: string, directory: string): string {
  const hash = createHash('sha256').update(`${schema}\0${directory}`)
  return `holdfast_${hash.digest('hex').slice(0, 40)}`
}

/**
 * What the server tells by NOTIFY, on one connection for all channels, which is there while somebody listens. A connection that
 * is silent for 10 s is asked something, and given up when it does not answer within 5 s.
 */
export class Notices {
  readonly #settings: NoticesSettings
  readonly #channels = new Map<string, Channel>()
  readonly #errands: Errand[] = []
  #wake: () => void = () => {}
  #isRunning = false
  #isSuspect = false
  #isConnected = false
  #isClosed = false

  constructor(settings: NoticesSettings) {
    this.#settings = settings
  }

  /** What it returns ends it. */
  listen(name: string, listener: NoticeListener): () => void {
    const channel = this.#channels.get(name) ?? { listeners: new Set(), state: 'starting' }
    this.#channels.set(name, channel)
    channel.listeners.add(listener)
    if (channel.state === 'live') {
      queueMicrotask(() => channel.state === 'live' && tell(channel, listener, heard => heard.live()))
    }
    this.#stir()
    return () => {
      channel.listeners.delete(listener)
      if (channel.listeners.size > 0 || this.#channels.get(name) !== channel) return
      this.#channels.delete(name)
      this.#stir()
    }
  }

  /** Tells the listeners of a channel, as the server does. */
  hint(name: string, payload: string): void {
    tellAll(this.#channels.get(name), listener => listener.told(payload))
  }

  /**
   * Asks something on the connection that listens just now: what belongs to a session lasts for as long as that one hears. Rejects when
   * the server refuses, and when there is no such connection any more.
   */
  ask(statement: string): Promise<void> {
    if (!this.#isConnected) return Promise.reject(new Error('no connection listens'))
    return new Promise((resolve, reject) => {
      this.#errands.push({ statement, resolve, reject })
      this.#wake()
    })
  }

  /** Another connection to the same server is lost: makes sure of this one. */
  suspect(): void {
    if (!this.#isConnected) return
    this.#isSuspect = true
    this.#wake()
  }

  close(): void {
    this.#isClosed = true
    this.#channels.clear()
    this.#wake()
  }

  #stir(): void {
    if (this.#isRunning) return this.#wake()
    if (this.#isClosed) return
    this.#isRunning = true
    void this.#run()
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#isWanted(); failures += 1) {
      try {
        await this.#session(() => (failures = 0))
      } catch (error) {
        if (!this.#isWanted()) break
        const isRefused = !isLost(error)
        this.#tellDown(isRefused ? refusal(error) : withoutSecrets(error))
        await this.#sleep(isRefused ? REFUSED_MS : this.#pauseMs(failures))
      }
    }
    this.#isRunning = false
  }

  #isWanted(): boolean {
    return !this.#isClosed && this.#channels.size > 0
  }

  // From one connection's begin to its end: by nobody's need, or with what ended it.
  async #session(heard: () => void): Promise<void> {
    const client = await this.#settings.open()
    let lose: (error: unknown) => void = () => {}
    const lost = new Promise<never>((_resolve, reject) => (lose = reject))
    lost.catch(() => undefined)
    client.on('error', lose)
    client.on('end', () => lose(new Error('the connection that listens was closed')))
    let heardAtMs = 0
    client.on('notification', ({ channel, payload }: Notification) => {
      heardAtMs = this.#settings.clock.monotonicMs()
      this.hint(channel, payload ?? '')
    })
    const listened = new Map<string, Channel>()
    try {
      if (this.#isWanted()) await this.#answered(Promise.race([client.connect(), lost]))
      this.#isConnected = true
      while (this.#isWanted()) {
        await this.#runErrands(client, lost)
        const statement = this.#nextStatement(listened)
        const isDue = this.#isSuspect || this.#settings.clock.monotonicMs() - heardAtMs >= PROBE_MS
        if (statement !== undefined || isDue) {
          this.#isSuspect = false
          const wanted = new Map(this.#channels)
          await this.#answered(Promise.race([client.query(statement ?? 'SELECT 1'), lost]))
          heardAtMs = this.#settings.clock.monotonicMs()
          heard()
          this.#tellLive(wanted, listened)
        } else if (this.#errands.length === 0) {
          await Promise.race([lost, this.#sleep(heardAtMs + PROBE_MS - this.#settings.clock.monotonicMs())])
        }
      }
    } finally {
      this.#isConnected = false
      for (const { reject } of this.#errands.splice(0)) reject(new Error('the connection that listens is gone'))
      this.#wake()
      leave(client)
    }
  }

  // What the server refuses is not the connection's fault.
  async #runErrands(client: Client, lost: Promise<never>): Promise<void> {
    for (let errand = this.#errands.shift(); errand !== undefined; errand = this.#errands.shift()) {
      try {
        await this.#answered(Promise.race([client.query(errand.statement), lost]))
        errand.resolve()
      } catch (error) {
        errand.reject(withoutSecrets(error))
        if (!isStatementError(error)) throw error
      }
    }
  }

  // What makes the server's list of channels ours.
  #nextStatement(listened: ReadonlyMap<string, Channel>): string | undefined {
    // By what it is, not by its name: one that was left and is wanted anew has to be told that it is live.
    const added = [...this.#channels].filter(([name, channel]) => listened.get(name) !== channel)
    const removed = [...listened.keys()].filter(name => !this.#channels.has(name))
    const statements = [...added.map(([name]) => `LISTEN "${name}"`), ...removed.map(name => `UNLISTEN "${name}"`)]
    return statements.length === 0 ? undefined : statements.join(';')
  }

  #tellLive(wanted: ReadonlyMap<string, Channel>, listened: Map<string, Channel>): void {
    listened.clear()
    for (const [name, channel] of wanted) {
      listened.set(name, channel)
      if (channel.state === 'live') continue
      channel.state = 'live'
      tellAll(channel, listener => listener.live())
    }
  }

  #tellDown(cause: unknown): void {
    for (const channel of this.#channels.values()) {
      if (channel.state === 'down') continue
      channel.state = 'down'
      tellAll(channel, listener => listener.down(cause))
    }
  }

  async #answered<T>(work: Promise<T>): Promise<T> {
    const deadline = new CommandDeadline(this.#settings.clock, ANSWER_MS)
    try {
      return await deadline.race(work)
    } catch (error) {
      throw error === TIME_IS_OVER ? new Error(`the connection that listens was silent for ${ANSWER_MS} ms`) : error
    } finally {
      deadline.cancel()
    }
  }

  // Until something is to be done.
  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#settings.clock.setTimer(resolve, ms)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  #pauseMs(failures: number): number {
    const ceiling = Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(failures, 10))
    return ceiling / 2 + (this.#settings.random.next() * ceiling) / 2
  }
}

function tellAll(channel: Channel | undefined, event: (listener: NoticeListener) => void): void {
  if (channel === undefined) return
  for (const listener of [...channel.listeners]) tell(channel, listener, event)
}

// Unless he has left meanwhile.
function tell(channel: Channel, listener: NoticeListener, event: (listener: NoticeListener) => void): void {
  if (!channel.listeners.has(listener)) return
  try {
    event(listener)
  } catch (error) {
    reportListenerError('records', error)
  }
}

function leave(client: Client): void {
  client.removeAllListeners()
  // Late errors of a connection that is being closed are nobody's business.
  client.on('error', () => {})
  void client.end().catch(() => undefined)
}
