/** A value that was kept. */
export interface CacheEntry {
  readonly value: unknown
  readonly storedAtMs: number
  readonly sizeBytes: number
}

/** How much is kept. */
export interface CacheBounds {
  readonly keysMax: number
  readonly sizeBytesMax: number
}

/** Values by key, at most so many and so large together: those that were read longest ago go first. */
export class CacheEntries {
  // In the order in which they were read last.
  readonly #entries = new Map<string, CacheEntry>()
  #sizeBytes = 0

  get count(): number {
    return this.#entries.size
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The entry of a key, which now was read last. */
  read(key: string): CacheEntry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  /** Keeps a value, instead of an older one of the key. One that is larger than all may be is not kept. */
  write(key: string, entry: CacheEntry, { keysMax, sizeBytesMax }: CacheBounds): void {
    this.delete(key)
    if (entry.sizeBytes > sizeBytesMax) return
    this.#entries.set(key, entry)
    this.#sizeBytes += entry.sizeBytes
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= keysMax && this.#sizeBytes <= sizeBytesMax) return
      this.delete(oldest)
    }
  }

  /** Whether there was one. */
  delete(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#entries.delete(key)
    this.#sizeBytes -= entry.sizeBytes
    return true
  }

  clear(): void {
    this.#entries.clear()
    this.#sizeBytes = 0
  }
}
