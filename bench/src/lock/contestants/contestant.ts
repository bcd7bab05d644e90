/** A lock that is held. */
export interface Held {
  release(): Promise<unknown>
  /** Only where it does not renew itself. */
  renew?(): Promise<unknown>
}

/** One connection of a contestant, as one service would have it. */
export interface Client {
  /** Called once for each name before it is used. */
  prepare?(name: string): Promise<unknown>
  /** Waits its turn. */
  acquire(name: string): Promise<Held>
  /** Only where there are elections: waits until it leads. */
  campaign?(name: string): Promise<unknown>
  /** Gives back what `campaign` got. */
  resign?(name: string): Promise<unknown>
}

/** A way to lock. Each connects to the server by its own means. */
export interface Contestant {
  /** Where an election is measured, leaderships last for `ttlMs`, or sessions do. */
  readonly connect: (address: string, ttlMs?: number) => Promise<Client>
}

/** How long everybody's locks last, in milliseconds: our default. */
export const TTL_MS = 30_000
