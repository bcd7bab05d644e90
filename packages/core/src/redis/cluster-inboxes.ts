import type { Cluster } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { InboxListener } from '../lease/waiting.ts'
import { findNode } from './cluster-nodes.ts'
import { addressOf, listeningBeside } from './driver.ts'
import type { LeaseInbox } from './inbox.ts'
import { InboxListeners } from './inbox-listeners.ts'
import { SubscriberLink } from './subscriber-link.ts'

interface NodeInbox {
  readonly link: SubscriberLink
  readonly address: string
  isListening: boolean
}

/**
 * Where this client hears of leases that are handed to it in a Cluster: a connection to each node on which it has waited. It
 * subscribes to the channel that is the node's own, for a node counts those who listen to it, and to the one of all nodes.
 */
export class ClusterInboxes implements LeaseInbox {
  readonly epoch = 0
  readonly trustMs: number = Infinity
  readonly #clock: Clock
  readonly #channel: string
  readonly #listeners = new InboxListeners()
  readonly #inboxes = new Map<string, NodeInbox>()
  readonly #opening = new Map<string, Promise<void>>()
  #isClosed = false

  constructor(settings: { readonly clock: Clock; readonly channel: string }) {
    this.#clock = settings.clock
    this.#channel = settings.channel
  }

  get isListening(): boolean {
    return this.#inboxes.size > 0
  }

  /** The nodes that may queue us, as a step names them. */
  get mayQueue(): string {
    return [...this.#inboxes].flatMap(([node, { isListening }]) => (isListening ? [node] : [])).join(' ')
  }

  /** Which node it will be is not known yet: the step that asks for a place in the queue has that one listened to. */
  async listen(): Promise<void> {}

  /** Settles once what a node publishes is heard. */
  listenTo(cluster: Cluster, node: string): Promise<void> {
    const opening = this.#opening.get(node) ?? this.#open(cluster, node).finally(() => this.#opening.delete(node))
    this.#opening.set(node, opening)
    return opening
  }

  add(requestId: string, listener: InboxListener): void {
    this.#listeners.add(requestId, listener)
  }

  remove(requestId: string): void {
    this.#listeners.remove(requestId)
  }

  /** Each connection is asked by itself now and then. */
  probe(): void {}

  close(): void {
    this.#isClosed = true
    this.#listeners.clear()
    for (const node of [...this.#inboxes.keys()]) this.#end(node)
  }

  async #open(cluster: Cluster, node: string): Promise<void> {
    if (this.#inboxes.get(node)?.isListening === true) return
    const { client } = await findNode(cluster, node)
    if (this.#isClosed) throw new Error('The backend was closed.')
    const address = addressOf(client)
    // One of a node that was there before: it has another id, or another role.
    for (const [other, inbox] of this.#inboxes) if (inbox.isListening && inbox.address === address) this.#end(other)
    await new Promise<void>((resolve, reject) => {
      const link = new SubscriberLink(this.#clock, {
        up: () => {
          const channels = [`${this.#channel}:${node}`, this.#channel]
          Promise.all(channels.map(channel => link.subscribe(channel))).then(() => {
            inbox.isListening = true
            resolve()
          }, reject)
        },
        message: (_channel, text) => this.#listeners.receive(text, node),
        over: cause => {
          this.#end(node)
          reject(cause)
          this.#listeners.tellGap()
        },
      })
      const inbox: NodeInbox = { link, address, isListening: false }
      this.#inboxes.set(node, inbox)
      void link.start(async () => listeningBeside(client))
    }).catch((error: unknown) => {
      this.#end(node)
      throw error
    })
  }

  #end(node: string): void {
    this.#inboxes.get(node)?.link.close()
    this.#inboxes.delete(node)
  }
}
