import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
import type { DirectoryView, DirectoryWatch } from '../../../records/watch.ts'
import { watchDirectory } from '../../../records/watch.ts'
import type { RecordCapability, RecordCase } from '../record-case.ts'
import { bytesOf, erase, put, textOf, textsOf } from '../record-changes.ts'
import { ANSWER_MS, END_MS_MAX, NOTICE_MS } from '../record-scene.ts'
import type { RecordScene } from '../record-scene.ts'
import { HOP_MS } from '../stage.ts'

/** So seldom that a case never sees it: what is seen came by a notice. */
const NEVER_MS = 3_600_000
const RECONCILE_MS = 400
const BURST = 50
const WRITES_EACH = 40
const RECOVERY_MS = 30 * HOP_MS

type Present = Extract<DirectoryView, { kind: 'present' }>

/** Views of directories: the store together with `watchDirectory`. */
export const watchCases: readonly RecordCase[] = [
  {
    promise: 'R5',
    name: 'A watch begins with what is there, and follows what is committed, by its own client and by another.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', '0')])
      await using watch = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      assert.equal(watch.view.current.kind, 'unread')
      await shows(scene, watch, { a: '0' })
      await scene.eventually(async () => watch.status.push === 'live', 'the push is not live')
      await scene.committed(other, directory, [put('a', '1'), put('b', '1')])
      await shows(scene, watch, { a: '1', b: '1' })
      const { revision } = await scene.committed(one, directory, [erase('a')])
      await shows(scene, watch, { b: '1' })
      const view = present(watch)
      assert.deepEqual([view.revision, view.succession], [revision, 'forward'])
    },
  },
  {
    promise: 'R5',
    name: 'A watch of a missing directory says so, and shows it once it is made; emptied, it is present and empty.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await using watch = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      const isMissing = async (): Promise<boolean> => watch.view.current.kind === 'missing'
      await scene.eventually(isMissing, 'the view does not say that the directory is missing')
      assert.deepEqual(watch.view.current, { kind: 'missing', last: undefined })
      await scene.eventually(async () => watch.status.push === 'live', 'the push is not live')
      await scene.committed(other, directory, [put('a', '1')])
      await shows(scene, watch, { a: '1' })
      assert.equal(present(watch).succession, 'first')
      await scene.committed(other, directory, [erase('a')])
      await shows(scene, watch, {})
    },
  },
  {
    promise: 'R5',
    name: 'With every notice lost a watch shows each change within its reconcile interval.',
    needs: ['muffle'],
    body: convergesMuffled,
  },
  {
    promise: 'R5',
    name: `A burst of ${BURST} commits ends at the last one, in two watches of one client.`,
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', 'start')])
      await using first = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      await using second = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      for (const watch of [first, second]) await shows(scene, watch, { a: 'start' })
      const commits = Array.from({ length: BURST }, (_, index) =>
        scene.committed(other, directory, [put('a', `${index}`)]),
      )
      const outcomes = await Promise.all(commits)
      const last = outcomes.map(({ revision }) => revision).find(({ number }) => number === BURST + 1)
      assert.ok(last !== undefined)
      for (const watch of [first, second]) {
        await scene.eventually(async () => present(watch).revision.number > BURST, 'the last commit is not shown')
        assert.deepEqual(present(watch).revision, last)
      }
      first.close()
      await scene.committed(other, directory, [put('a', 'more')])
      await shows(scene, second, { a: 'more' })
      assert.equal(present(first).revision.number, BURST + 1)
      second.close()
      await scene.nothingLeft(directory)
    },
  },
  {
    promise: 'R5',
    name: 'A watch never goes back within one history, and each view is one revision, while two clients write.',
    body: scene => neverGoesBack(scene, async () => {}),
  },
  {
    promise: 'R5',
    name: 'A watch whose connection is cut again and again never goes back, and ends at the last commit.',
    needs: ['cut'],
    body: scene => neverGoesBack(scene, client => scene.able('cut')(client)),
  },
  {
    promise: 'R3',
    name: 'A watch of a directory that the store lost says `missing` with what was there, and `replaced` once it is made anew.',
    needs: ['loseData'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { revision } = await scene.committed(other, directory, [put('a', '1')])
      await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
      await shows(scene, watch, { a: '1' })
      const seen = kindsOf(watch)
      await scene.able('loseData')(directory)
      const isMissing = async (): Promise<boolean> => watch.view.current.kind === 'missing'
      await scene.eventually(isMissing, 'the view does not say that the directory is missing')
      assert.deepEqual(watch.view.current, { kind: 'missing', last: revision })
      await scene.committed(other, directory, [put('b', '1')])
      await shows(scene, watch, { b: '1' })
      const { succession, previous } = present(watch)
      assert.deepEqual([succession, previous], ['replaced', revision])
      assert.deepEqual(seen, ['missing', 'replaced'])
    },
  },
  {
    promise: 'R3',
    name: 'A watch of a directory that was restored from an older backup says `regressed`, before and after new commits.',
    needs: ['backUp'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', 'old')])
      const restore = await scene.able('backUp')(directory)
      const lost = await scene.committed(other, directory, [put('a', 'lost')])
      await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
      await using late = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      for (const each of [watch, late]) await shows(scene, each, { a: 'lost' })
      await restore()
      await shows(scene, watch, { a: 'old' })
      assert.deepEqual([present(watch).succession, present(watch).previous], ['regressed', lost.revision])
      const instead = await scene.committed(other, directory, [put('a', 'instead')])
      assert.equal(instead.revision.number, lost.revision.number)
      for (const each of [watch, late]) await shows(scene, each, { a: 'instead' })
      assert.equal(present(watch).succession, 'forward')
    },
  },
  {
    promise: 'R3',
    name: 'A watch of a directory that was lost and restored as it was shows it again.',
    needs: ['loseData', 'backUp'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      const { revision } = await scene.committed(other, directory, [put('a', '1')])
      await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
      await shows(scene, watch, { a: '1' })
      const restore = await scene.able('backUp')(directory)
      await scene.able('loseData')(directory)
      const isMissing = async (): Promise<boolean> => watch.view.current.kind === 'missing'
      await scene.eventually(isMissing, 'the view does not say that the directory is missing')
      await restore()
      await shows(scene, watch, { a: '1' })
      assert.deepEqual(present(watch).revision, revision)
    },
  },
  {
    promise: 'R5',
    name: 'A watch of some records shows those alone.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', '1'), put('b', '1')])
      await using watch = watchDirectory(one, directory, { ids: ['a', 'c'], reconcileMs: NEVER_MS })
      await shows(scene, watch, { a: '1' })
      await scene.eventually(async () => watch.status.push === 'live', 'the push is not live')
      await scene.committed(other, directory, [put('b', '2'), put('c', '2')])
      await shows(scene, watch, { a: '1', c: '2' })
    },
  },
  {
    promise: 'R6',
    name: 'A watch of ephemeral records shows who joins, changes, leaves, and falls silent.',
    body: showsEphemerals,
  },
  {
    promise: 'R5',
    name: '`refresh` shows what was committed before it was called, whatever notices do.',
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      if (scene.harness.muffle.kind === 'supported') await scene.muffle(one)
      await using watch = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      for (let round = 0; round < 10; round += 1) {
        // A read that is under way already may be too old for a refresh that comes now.
        const early = watch.refresh()
        await scene.committed(round % 2 === 0 ? one : other, directory, [put('a', `${round}`)])
        const view = await scene.within(watch.refresh(), ANSWER_MS, 'a refresh')
        assert.ok(view.kind === 'present')
        assert.equal(textOf(view.records.get('a')?.value), `${round}`)
        await scene.within(early, ANSWER_MS, 'an earlier refresh')
      }
    },
  },
  {
    promise: 'R5',
    name: 'A closed watch keeps its last view and leaves nothing: closed by `close`, by its signal, by its backend.',
    body: closesInEachWay,
  },
  ...(['cut', 'endSession', 'restart'] as const).map(recoversAfter),
  {
    promise: 'R5',
    name: 'A watch whose link was silent shows the last state once the link speaks again.',
    needs: ['silence'],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', '0')])
      await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
      await shows(scene, watch, { a: '0' })
      const heal = await scene.silence(one)
      await scene.committed(other, directory, [put('a', 'missed')])
      await scene.harness.advance(2 * HOP_MS)
      assert.deepEqual(textsOf(present(watch).records), { a: '0' })
      await heal()
      await shows(scene, watch, { a: 'missed' }, RECOVERY_MS)
    },
  },
]

function recoversAfter(needs: Extract<RecordCapability, 'cut' | 'endSession' | 'restart'>): RecordCase {
  const faults = { cut: 'its connection was cut', endSession: 'its session ended', restart: 'the server was restarted' }
  return {
    promise: 'R5',
    name: `A watch shows the last state after ${faults[needs]}, long before its reconcile interval.`,
    needs: [needs],
    body: async scene => {
      const [one, other] = await scene.twoClients()
      const directory = scene.directory()
      await scene.committed(other, directory, [put('a', '0')])
      await using watch = watchDirectory(one, directory, { reconcileMs: NEVER_MS })
      await shows(scene, watch, { a: '0' })
      await scene.eventually(async () => watch.status.push === 'live', 'the push is not live')
      for (const value of ['1', '2', '3']) {
        await scene.able(needs)(one)
        const commit = async (): Promise<boolean> => {
          const commitId = other.records.newId()
          return other.records.commit({ directory, commitId, changes: [put('a', value)] }).then(
            () => true,
            () => false,
          )
        }
        await scene.eventually(commit, 'the other client cannot commit', RECOVERY_MS)
        await shows(scene, watch, { a: value }, RECOVERY_MS)
      }
    },
  }
}

async function convergesMuffled(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const directory = scene.directory()
  await scene.committed(other, directory, [put('a', 'start')])
  await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
  await shows(scene, watch, { a: 'start' })
  // The control: who cannot repair what he missed must miss it, or nothing is lost here.
  const deaf = await scene.client()
  await using unrepaired = watchDirectory(deaf, directory, { reconcileMs: NEVER_MS })
  await shows(scene, unrepaired, { a: 'start' })
  await scene.eventually(async () => unrepaired.status.push === 'live', 'the push is not live')
  for (const client of [one, deaf]) await scene.muffle(client)
  // No read of before is under way any more.
  await scene.within(unrepaired.refresh(), ANSWER_MS, 'a refresh')
  let shownAtMs = 0
  watch.view.subscribe(() => (shownAtMs = one.clock.monotonicMs()))
  for (let round = 0; round < 6; round += 1) {
    // At another moment of the interval each time.
    await scene.harness.advance((RECONCILE_MS * round) / 7)
    await scene.committed(other, directory, [put('a', `${round}`)])
    const committedAtMs = one.clock.monotonicMs()
    await shows(scene, watch, { a: `${round}` })
    const tookMs = shownAtMs - committedAtMs
    assert.ok(tookMs <= RECONCILE_MS + scene.harness.slackMs, `It was shown after ${tookMs} ms.`)
  }
  assert.deepEqual(textsOf(present(unrepaired).records), { a: 'start' }, 'The harness muffles nobody.')
}

async function neverGoesBack(scene: RecordScene, disturb: (client: Backend) => Promise<void>): Promise<void> {
  const [one, other] = await scene.twoClients()
  const third = await scene.client()
  const directory = scene.directory()
  await scene.committed(other, directory, [put('a', 'start'), put('b', 'start')])
  await using watch = watchDirectory(one, directory, { reconcileMs: RECONCILE_MS })
  const views: Present[] = []
  watch.view.subscribe(view => void (view.kind === 'present' ? views.push(view) : assert.fail(`It is ${view.kind}.`)))
  const write = async (client: Backend, name: string): Promise<void> => {
    for (let round = 0; round < WRITES_EACH; round += 1) {
      const changes = [put('a', `${name}-${round}`), put('b', `${name}-${round}`)]
      await client.records.commit({ directory, commitId: client.records.newId(), changes })
      if (round % 10 === 9) await disturb(one)
    }
  }
  const writing = Promise.all([write(other, 'other'), write(third, 'third')])
  await scene.within(writing, 12 * ANSWER_MS, 'all writes')
  const { revision } = await scene.present(other, { directory })
  assert.equal(revision.number, 1 + 2 * WRITES_EACH)
  const isLast = async (): Promise<boolean> => views.at(-1)?.revision.number === revision.number
  await scene.eventually(isLast, 'the last commit is not shown', RECOVERY_MS)
  for (const [index, view] of views.entries()) {
    assert.equal(textOf(view.records.get('a')?.value), textOf(view.records.get('b')?.value))
    const before = views[index - 1]
    if (before === undefined) continue
    assert.ok(view.revision.number > before.revision.number, 'A view went back.')
    assert.deepEqual([view.succession, view.previous], ['forward', before.revision])
  }
}

async function showsEphemerals(scene: RecordScene): Promise<void> {
  const [one, other] = await scene.twoClients()
  const third = await scene.client()
  const directory = scene.directory()
  await using watch = watchDirectory(one, directory, { ephemerals: true, reconcileMs: NEVER_MS })
  await scene.eventually(async () => watch.status.push === 'live', 'the push is not live')
  const seen = async (expected: Readonly<Record<string, string>>, ms: number = NOTICE_MS): Promise<void> => {
    const isSeen = async (): Promise<boolean> => {
      const view = watch.view.current
      return view.kind === 'present' && isSame(textsOf(view.ephemerals), expected)
    }
    await scene.eventually(isSeen, `the view does not show ${JSON.stringify(expected)}`, ms)
  }
  const owner = scene.owner(other, directory)
  await scene.join(other, owner)
  await seen({ one: 'here' })
  await scene.beat(other, owner, 'there')
  await seen({ one: 'there' })
  await scene.join(third, scene.owner(third, directory, { id: 'two', value: bytesOf('silent') }))
  await seen({ one: 'there', two: 'silent' })
  await scene.leave(other, owner)
  await seen({ two: 'silent' })
  await scene.stopBeating(third)
  await seen({}, scene.ttlMs + END_MS_MAX + NOTICE_MS)
}

async function closesInEachWay(scene: RecordScene): Promise<void> {
  const other = await scene.client()
  const ways: Readonly<Record<string, (watch: DirectoryWatch, client: Backend, abort: AbortController) => unknown>> = {
    close: watch => watch.close(),
    signal: (_watch, _client, abort) => abort.abort(new Error('enough')),
    backend: (_watch, client) => scene.within(client.close(), ANSWER_MS, 'closing'),
  }
  for (const [name, end] of Object.entries(ways)) {
    const client = await scene.client()
    const directory = scene.directory()
    await scene.committed(other, directory, [put('a', '1')])
    const abort = new AbortController()
    const watch = watchDirectory(client, directory, { reconcileMs: RECONCILE_MS, signal: abort.signal })
    await shows(scene, watch, { a: '1' })
    await end(watch, client, abort)
    await scene.committed(other, directory, [put('a', '2')])
    await scene.harness.advance(2 * RECONCILE_MS)
    assert.deepEqual(textsOf(present(watch).records), { a: '1' }, `After the end by ${name}`)
    assert.equal(watch.status.push, 'down')
    const error = await scene.rejection(watch.refresh(), HOP_MS, 'a refresh of a closed watch')
    assert.equal((error as { readonly code?: unknown }).code, 'HF_CLOSED')
    watch.close()
    await scene.nothingLeft(directory)
  }
}

/** What each view from now on says of itself. */
function kindsOf(watch: DirectoryWatch): readonly string[] {
  const kinds: string[] = []
  watch.view.subscribe(view => kinds.push(view.kind === 'present' ? view.succession : view.kind))
  return kinds
}

function present({ view: { current } }: DirectoryWatch): Present {
  return current.kind === 'present' ? current : assert.fail(`The view is ${current.kind}.`)
}

async function shows(
  scene: RecordScene,
  { view }: DirectoryWatch,
  expected: Readonly<Record<string, string>>,
  ms: number = NOTICE_MS,
): Promise<void> {
  const isShown = async (): Promise<boolean> =>
    view.current.kind === 'present' && isSame(textsOf(view.current.records), expected)
  await scene.eventually(isShown, `the view does not show ${JSON.stringify(expected)}`, ms)
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const ids = Object.keys(a)
  return ids.length === Object.keys(b).length && ids.every(id => a[id] === b[id])
}
