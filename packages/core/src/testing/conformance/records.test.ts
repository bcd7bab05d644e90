import { describe, expect, it } from 'vitest'
import { MemoryWorld, memoryBackend } from '../../memory/index.ts'
import type { Commit, DirectoryRead, EphemeralRequest, RecordStore, StoredRecord } from '../../ports/records.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import { withAlteredRecords } from './altered-records.fixture.ts'
import type { RecordHarness } from './record-harness.ts'
import { recordConformance } from './records.ts'

/** A promise of the store in memory, broken. */
type Fault = (store: RecordStore, world: MemoryWorld) => Partial<RecordStore>
type Present = Extract<DirectoryRead, { kind: 'present' }>

/** Changes every directory that is read. */
function withReads(store: RecordStore, change: (read: Present) => DirectoryRead): Partial<RecordStore> {
  return {
    read: async (request, signal) => {
      const answer = await store.read(request, signal)
      return answer.kind === 'present' ? change(answer) : answer
    },
  }
}

/** Changes every commit that is sent. */
function withCommits(store: RecordStore, change: (commit: Commit) => Commit): Partial<RecordStore> {
  return { commit: (commit, signal) => store.commit(change(commit), signal) }
}

/** Changes every ephemeral request that is sent. */
function withOwners(
  store: RecordStore,
  change: (request: EphemeralRequest) => EphemeralRequest,
): Pick<RecordStore, 'beat' | 'leave' | 'join'> {
  return {
    join: (request, signal) => store.join(change(request), signal),
    beat: (request, value) => store.beat(change(request), value),
    leave: request => store.leave(change(request)),
  }
}

/** Whoever is in it now. */
function presentOwner(world: MemoryWorld, { directory, id, owner }: EphemeralRequest): string {
  const read = world.directories.read({ directory, ephemerals: true })
  return (read.kind === 'present' ? read.ephemerals.get(id)?.owner : undefined) ?? owner
}

function mapped(
  records: ReadonlyMap<string, StoredRecord>,
  change: (record: StoredRecord) => StoredRecord,
): ReadonlyMap<string, StoredRecord> {
  return new Map([...records].map(([id, record]) => [id, change(record)]))
}

/** What reads are answered for a moment longer. */
const late = new WeakMap<MemoryWorld, DirectoryRead>()

let strangers = 0
const newNumber = (): number => (strangers += 1)

const FAULTS: readonly { readonly fault: string; readonly found: string; readonly break: Fault }[] = [
  {
    fault: 'forgets what commits expect',
    found:
      'A commit one of whose expectations does not hold changes nothing, and is told what was expected and what there is.',
    break: store =>
      withCommits(store, commit => ({
        ...commit,
        changes: commit.changes.map(change =>
          change.kind === 'put' ? { kind: 'put', id: change.id, value: change.value } : change,
        ),
      })),
  },
  {
    fault: 'looks at what is expected before it waits for something else, and then writes',
    found: 'Of commits from three clients that expect the same version exactly one happens, 30 times.',
    break: (store, world) => ({
      commit: async commit => {
        const read = await store.read({ directory: commit.directory })
        const versionOf = (id: string): string | undefined =>
          read.kind === 'present' ? read.records.get(id)?.version : undefined
        const isMet = commit.changes.every(
          ({ id, expect: expected }) =>
            expected === undefined ||
            (expected === 'absent' ? versionOf(id) === undefined : versionOf(id) === expected.version),
        )
        if (!isMet) return store.commit(commit)
        await new Promise(resolve => setImmediate(resolve))
        const changes = commit.changes
          .filter(({ kind }) => kind === 'put')
          .map(change => ({ ...change, expect: undefined }))
        return world.directories.commit({ ...commit, changes } as unknown as Commit)
      },
    }),
  },
  {
    fault: 'lets two clients create the same record',
    found: 'Of the first commits of three clients to a new directory exactly one creates the record, 200 times.',
    break: store =>
      withCommits(store, commit => ({
        ...commit,
        changes: commit.changes.map(change =>
          change.kind === 'put' && change.expect === 'absent'
            ? { kind: 'put', id: change.id, value: change.value }
            : change,
        ),
      })),
  },
  {
    fault: 'names the conflict, and what there is, wrong',
    found:
      'A commit one of whose expectations does not hold changes nothing, and is told what was expected and what there is.',
    break: store => ({
      commit: async commit => {
        const outcome = await store.commit(commit)
        if (outcome.kind === 'committed') return outcome
        return {
          kind: 'conflict',
          conflicts: outcome.conflicts.map(({ id, expected }) => ({ id, expected, actual: expected })),
        }
      },
    }),
  },
  {
    fault: 'writes the changes of a commit one by one',
    found: 'A read is a snapshot: while two clients write two records together, a third never sees them differ.',
    break: store => ({
      commit: async commit => {
        for (const change of commit.changes.slice(0, -1)) {
          await store.commit({ ...commit, commitId: store.newId(), changes: [change] })
          await new Promise(resolve => setImmediate(resolve))
        }
        return store.commit({ ...commit, changes: commit.changes.slice(-1) })
      },
    }),
  },
  {
    fault: 'applies a commit that is sent again a second time',
    found: 'A commit that is sent again by another client is answered the same, and happens once.',
    break: store => withCommits(store, commit => ({ ...commit, commitId: `${commit.commitId}${newNumber()}` })),
  },
  {
    fault: 'forgets commits after a few others, and writes them again',
    found:
      'A commit that is sent again after 40 others is answered the same or `HF_UNKNOWN_OUTCOME`, and happens once.',
    break: store => ({
      commit: commit => store.commit(commit).catch(() => store.commit({ ...commit, commitId: store.newId() })),
    }),
  },
  {
    fault: 'answers empty for a directory that is missing',
    found: 'A directory that nothing was written to is missing, however it is asked for, and asking does not make it.',
    break: store => ({
      read: async request => {
        const answer = await store.read(request)
        if (answer.kind !== 'missing') return answer
        const revision = { history: 'none', number: 0, commit: 'none' }
        const nothing = { records: new Map(), ephemerals: new Map() }
        return { kind: 'present', revision, committedAtMs: 0, stamp: 'none', ...nothing }
      },
    }),
  },
  {
    fault: 'answers missing for a directory that is empty',
    found: 'A directory whose records were all deleted is present and empty, and goes on counting.',
    break: store => withReads(store, read => (read.records.size === 0 ? { kind: 'missing' } : read)),
  },
  {
    fault: 'takes a version for that of the same content',
    found: 'A record that is written with the same value, or deleted and written anew, has another version.',
    break: store =>
      withReads(store, read => ({
        ...read,
        records: mapped(read.records, record => ({ ...record, version: String(record.value) })),
      })),
  },
  {
    fault: 'counts versions from one again after it lost its data',
    found: 'A version of before the store lost its data is never one of after, however often that happens.',
    break: store =>
      withReads(store, read => ({
        ...read,
        records: mapped(read.records, record => ({ ...record, version: `${read.revision.number}` })),
      })),
  },
  {
    fault: 'keeps its history when it lost its data',
    found: 'A directory that the store lost is missing, and made anew it has another history.',
    break: store => ({
      commit: async commit => {
        const outcome = await store.commit(commit)
        if (outcome.kind === 'conflict') return outcome
        return { ...outcome, revision: { ...outcome.revision, history: 'the one' } }
      },
    }),
  },
  {
    fault: 'stamps by the number alone',
    found:
      'A directory that was restored from a backup has the revision of then, and another commit in the place of the lost one.',
    break: store => ({
      read: async request => {
        const answer = await store.read({ directory: request.directory })
        if (answer.kind !== 'present') return answer
        const stamp = `${answer.revision.number}`
        return stamp === request.unless ? { kind: 'unchanged' } : { ...answer, stamp }
      },
    }),
  },
  {
    fault: 'says `unchanged` to everybody who has a stamp',
    found: 'A read with the stamp of the one before is answered `unchanged` until something is written.',
    break: store => ({
      read: async request => (request.unless === undefined ? store.read(request) : { kind: 'unchanged' }),
    }),
  },
  {
    fault: 'never says `unchanged`',
    found: 'A read with the stamp of the one before is answered `unchanged` until something is written.',
    break: store => ({
      read: ({ directory, ids, ephemerals = false }) =>
        store.read({ directory, ephemerals, ...(ids === undefined ? {} : { ids }) }),
    }),
  },
  {
    fault: 'shows all records to those who ask for some',
    found: 'A read of some records shows those that are there, of the same revision.',
    break: store => ({ read: ({ directory }) => store.read({ directory }) }),
  },
  {
    fault: 'answers every second read from what it knew before',
    found: 'What a client reads is never older than what it was answered before, its own commits included.',
    break: store => {
      let known: DirectoryRead | undefined
      return {
        read: async request => {
          const fresh = await store.read(request)
          const answer = newNumber() % 2 === 0 ? (known ?? fresh) : fresh
          known = fresh
          return answer
        },
      }
    },
  },
  {
    fault: 'keeps the bytes that it was given, and gives out those that it keeps',
    found: 'Who changes the bytes that he wrote or read does not change the store.',
    break: store => {
      const kept = new Map<string, Uint8Array>()
      return {
        commit: commit => {
          for (const change of commit.changes) if (change.kind === 'put') kept.set(change.id, change.value)
          return store.commit(commit)
        },
        ...withReads(store, read => ({
          ...read,
          records: mapped(read.records, record => ({ ...record, value: kept.get(record.id) ?? record.value })),
        })),
      }
    },
  },
  {
    fault: 'stores values as text',
    found: 'A value is any bytes: none at all, all 256 of them, text that is none.',
    break: store =>
      withReads(store, read => ({
        ...read,
        records: mapped(read.records, record => ({
          ...record,
          value: new TextEncoder().encode(new TextDecoder().decode(record.value)),
        })),
      })),
  },
  {
    fault: 'takes commits of any size',
    found: 'A commit of exactly 786432 bytes, ids included, happens, and one of a byte more is refused.',
    break: (_store, world) => ({ commit: async commit => world.directories.commit(commit) }),
  },
  {
    fault: 'refuses values of the largest size',
    found: 'A value of exactly 524288 bytes is stored, and one of a byte more is refused.',
    break: store => ({
      commit: async commit => {
        const isLarge = commit.changes.some(change => change.kind === 'put' && change.value.length === 524_288)
        return isLarge ? Promise.reject(new Error('Too large.')) : store.commit(commit)
      },
    }),
  },
  {
    fault: 'does not tell upper from lower case in the names of directories',
    found: 'Directories with awkward names are all different directories, and each is told of its own changes.',
    break: store => ({
      read: request => store.read({ ...request, directory: request.directory.toLowerCase() }),
      ...withCommits(store, commit => ({ ...commit, directory: commit.directory.toLowerCase() })),
      listen: (directory, listener) => store.listen(directory.toLowerCase(), listener),
    }),
  },
  {
    fault: 'cuts long ids',
    found: 'Records and ephemeral records may have any name: braces, percent signs, slashes, dots, Unicode, 200 bytes.',
    break: store =>
      withCommits(store, commit => ({
        ...commit,
        changes: commit.changes.map(change => ({ ...change, id: change.id.slice(0, 199) })),
      })),
  },
  {
    fault: 'never says `live`',
    found: 'A listener hears `live` first, after the call, and then of each commit, of its own client and of another.',
    break: store => ({
      listen: (directory, listener) =>
        store.listen(directory, { changed: commit => listener.changed(commit), live: () => {}, down: () => {} }),
    }),
  },
  {
    fault: 'does not tell a client of its own commits',
    found: 'A listener hears `live` first, after the call, and then of each commit, of its own client and of another.',
    break: store => {
      const own = new Set<string>()
      return {
        ...withCommits(store, commit => {
          own.add(commit.commitId)
          return commit
        }),
        listen: (directory, listener) =>
          store.listen(directory, {
            changed: commit => own.has(commit ?? '') || listener.changed(commit),
            live: () => listener.live(),
            down: () => {},
          }),
      }
    },
  },
  {
    fault: 'calls listeners within `listen`',
    found: 'A listener is never called before `listen` has returned.',
    break: store => ({
      listen: (directory, listener) => {
        listener.live()
        return store.listen(directory, listener)
      },
    }),
  },
  {
    fault: 'goes on calling a listener that was closed',
    found: 'A closed listener hears nothing more, closing it again does nothing, and its neighbours go on hearing.',
    break: store => ({
      listen: (directory, listener) => {
        store.listen(directory, listener)
        return { close: () => {}, [Symbol.dispose]: () => {} }
      },
    }),
  },
  {
    fault: 'goes on calling the listeners of a backend that was closed',
    found: 'A closed backend calls no listener any more, and leaves none.',
    break: (_store, world) => ({
      listen: (directory, listener) => {
        queueMicrotask(() => listener.live())
        const close = world.directories.listen(directory, commit => listener.changed(commit))
        return { close, [Symbol.dispose]: close }
      },
    }),
  },
  {
    fault: 'tells listeners of commits alone',
    found: 'A listener hears of ephemeral records: that one joins, changes, and leaves.',
    break: store => ({
      listen: (directory, listener) =>
        store.listen(directory, {
          changed: commit => commit !== undefined && listener.changed(commit),
          live: () => listener.live(),
          down: () => {},
        }),
    }),
  },
  {
    fault: 'tells listeners before a read shows it',
    found: 'What a listener hears of, a read that is sent then shows.',
    break: (store, world) => ({
      commit: async commit => {
        const before = await store.read({ directory: commit.directory })
        late.set(world, before)
        return store.commit(commit).finally(() => setImmediate(() => late.delete(world)))
      },
      read: async request => late.get(world) ?? store.read(request),
    }),
  },
  {
    fault: 'takes a beat of anybody for one of the owner',
    found: 'A new owner takes the place of one who is still there, and nothing that the old one says touches it.',
    break: (store, world) => ({
      beat: (request, value) => store.beat({ ...request, owner: presentOwner(world, request) }, value),
    }),
  },
  {
    fault: 'lets a beat of a replaced owner keep his successor alive',
    found: 'The beats of a replaced owner do not keep his successor alive.',
    break: (store, world) => ({
      beat: async (request, value) => {
        const outcome = await store.beat(request, value)
        if (outcome.kind === 'replaced') await store.beat({ ...request, owner: presentOwner(world, request) })
        return outcome
      },
    }),
  },
  {
    fault: 'lets anybody end an ephemeral record',
    found: 'A new owner takes the place of one who is still there, and nothing that the old one says touches it.',
    break: (store, world) => ({ leave: request => store.leave({ ...request, owner: presentOwner(world, request) }) }),
  },
  {
    fault: 'lets nobody take the place of an owner who is still there',
    found: 'A new owner takes the place of one who is still there, and nothing that the old one says touches it.',
    break: (store, world) => ({ join: request => store.join({ ...request, owner: presentOwner(world, request) }) }),
  },
  {
    fault: 'keeps ephemeral records for ever',
    found: 'An ephemeral record whose owner fell silent is there until his deadline, and gone within its TTL and 2 s.',
    break: store => withOwners(store, request => ({ ...request, ttlMs: 86_400_000 })),
  },
  {
    fault: 'ends ephemeral records before their owners think so',
    found: 'An ephemeral record whose owner fell silent is there until his deadline, and gone within its TTL and 2 s.',
    break: store => ({
      join: async request => {
        const stay = await store.join({ ...request, ttlMs: 4_000 })
        return { ...stay, deadline: { remainingMs: () => stay.deadline.remainingMs() + 1_000 } }
      },
    }),
  },
  {
    fault: 'brings an ephemeral record back with a late beat',
    found: 'A beat after the record ended is answered `gone`, and joining again brings it back.',
    break: store => ({
      beat: async (request, value) => {
        const outcome = await store.beat(request, value)
        return outcome.kind === 'gone' ? { kind: 'kept', ...(await store.join(request)) } : outcome
      },
    }),
  },
  {
    fault: 'makes a commit of every join',
    found:
      'Ephemeral records come, change and go without a commit: the revision stays, and the stamp of those who ask for them changes.',
    break: store => ({
      join: async request => {
        const { directory } = request
        await store.commit({ directory, commitId: store.newId(), changes: [{ kind: 'delete', id: 'none' }] })
        return store.join(request)
      },
    }),
  },
  {
    fault: 'leaves the ephemeral records out of the stamp',
    found:
      'Ephemeral records come, change and go without a commit: the revision stays, and the stamp of those who ask for them changes.',
    break: store => ({
      read: async ({ unless, ...request }) => {
        const answer = await store.read(request)
        if (answer.kind !== 'present') return answer
        const stamp = answer.revision.commit
        return stamp === unless ? { kind: 'unchanged' } : { ...answer, stamp }
      },
    }),
  },
  {
    fault: 'does what a signal that has aborted asked for',
    found: 'A call whose signal has aborted already is rejected with the reason and leaves nothing.',
    break: store => ({
      commit: async (commit, signal) => {
        const outcome = await store.commit(commit)
        signal?.throwIfAborted()
        return outcome
      },
    }),
  },
  {
    fault: 'answers after it was closed',
    found: 'A closed backend rejects every call with `HF_CLOSED`.',
    break: (_store, world) => ({ read: async request => world.directories.read(request) }),
  },
]

function harnessOf(fault: Fault): RecordHarness {
  const clock = new SimulatedClock()
  const world = new MemoryWorld(clock)
  const { directories } = world
  let names = 0
  return {
    openBackend: async () => withAlteredRecords(memoryBackend({ world }), store => fault(store, world)),
    directory: () => `directory-${(names += 1)}`,
    advance: ms => clock.advance(ms),
    ttlMs: 5_000,
    slackMs: 0,
    leftovers: async directory => directories.leftovers(directory),
    loseData: { kind: 'supported', run: async directory => directories.lose(directory) },
    backUp: {
      kind: 'supported',
      run: async directory => {
        const restore = directories.backUp(directory)
        return async () => restore()
      },
    },
    silence: { kind: 'unsupported', why: 'there is no link' },
    cut: { kind: 'unsupported', why: 'there is no link' },
    muffle: { kind: 'unsupported', why: 'there is no link' },
    restart: { kind: 'unsupported', why: 'there is no server' },
    endSession: { kind: 'unsupported', why: 'there are no sessions' },
  }
}

async function verdict(harness: RecordHarness, name: string): Promise<'passes' | 'fails'> {
  const found = recordConformance(harness).find(one => one.name === name)
  if (found === undefined) throw new Error(`There is no case "${name}".`)
  return found.run().then(
    () => 'passes',
    () => 'fails',
  )
}

describe('recordConformance', () => {
  for (const { fault, found, break: breaking } of FAULTS) {
    it(`finds a store that ${fault}`, async () => {
      expect(await verdict(harnessOf(breaking), found)).toBe('fails')
      expect(
        await verdict(
          harnessOf(() => ({})),
          found,
        ),
      ).toBe('passes')
    })
  }

  it.each([
    ['muffle', 'With every notice lost a watch shows each change within its reconcile interval.'],
    ['cut', 'After its connection was cut a listener is told `live` again, and hears of what is committed then.'],
    ['loseData', 'A directory that the store lost is missing, and made anew it has another history.'],
    [
      'backUp',
      'A watch of a directory that was restored from an older backup says `regressed`, before and after new commits.',
    ],
    [
      'silence',
      'Over a silent link every call settles within 10 s, and a commit that is sent again afterwards happens once.',
    ],
  ])('finds a harness whose `%s` does nothing', async (_capability, found) => {
    expect(await verdict(able(), found)).toBe('fails')
  })

  it('names each case once, in a sentence', () => {
    const names = recordConformance(able()).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[A-Z0-9`].*\.$/)
  })

  it('tests every promise', () => {
    const promises = new Set(recordConformance(harnessOf(() => ({}))).map(({ promise }) => promise))
    expect([...promises].sort()).toEqual(['R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'R7'])
  })

  it('leaves out what a world cannot express', () => {
    const everything = able()
    for (const name of ['loseData', 'backUp', 'silence', 'cut', 'muffle', 'restart', 'endSession'] as const) {
      const less: RecordHarness = { ...everything, [name]: { kind: 'unsupported', why: 'the test says so' } }
      expect(recordConformance(less).length).toBeLessThan(recordConformance(everything).length)
    }
  })
})

/** A harness that says that it can do everything, and does nothing. */
function able(): RecordHarness {
  const heal = async (): Promise<void> => {}
  return {
    ...harnessOf(() => ({})),
    loseData: { kind: 'supported', run: heal },
    backUp: { kind: 'supported', run: async () => heal },
    silence: { kind: 'supported', run: async () => heal },
    cut: { kind: 'supported', run: heal },
    muffle: { kind: 'supported', run: async () => heal },
    restart: { kind: 'supported', run: heal },
    endSession: { kind: 'supported', run: heal },
  }
}
