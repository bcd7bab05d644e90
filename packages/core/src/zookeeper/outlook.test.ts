// A server that answers and tells what a test wants, when it wants: for what a real one does only in a rare moment.
import { describe, expect, it, vi } from 'vitest'
import type { LeaseRequest } from '../ports/leases.ts'
import { internalsOf } from './backend.ts'
import { CODE } from './errors.ts'
import type { FakeAnswer } from './fake-server.fixture.ts'
import { FakeServer, reply } from './fake-server.fixture.ts'
import type { ZooKeeperBackend } from './index.ts'
import { zookeeperBackend } from './index.ts'
import { OPCODE } from './operations.ts'

const DIRECTORY = '/holdfast/a'
const FIRST = '_c_first-lock-0000000000'
const SECOND = '_c_second-lock-0000000001'
const EVENT_XID = -1
const DELETED = 2
const CHANGED = 3
const CONNECTED = 3
const CLOSE = -11
const STAT_BYTES = 68

const { create2, getChildren2, getData } = OPCODE
const SILENCE = undefined
const FOUND = { payload: Buffer.concat([text(''), stat(1n)]) }
const MISSING = { code: CODE.noNode }

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.concat([int(Buffer.byteLength(value)), Buffer.from(value)])
}

function stat(czxid: bigint): Buffer {
  const bytes = Buffer.alloc(STAT_BYTES)
  bytes.writeBigInt64BE(czxid)
  return bytes
}

function created(node: string, czxid = 1n): NonNullable<FakeAnswer> {
  return { payload: Buffer.concat([text(`${DIRECTORY}/${node}`), stat(czxid)]) }
}

function listed(...nodes: readonly string[]): NonNullable<FakeAnswer> {
  return { payload: Buffer.concat([int(nodes.length), ...nodes.map(text), stat(1n)]) }
}

type Step = readonly [opcode: number, answer: FakeAnswer]

/** Somebody who waits at a server that follows a script: it answers each request by the next step, which has to be of its kind. */
class Stage implements AsyncDisposable {
  readonly #server = new FakeServer((opcode, xid) => this.#play(opcode, xid))
  readonly #steps: Step[] = []
  readonly #unanswered: number[] = []
  readonly #surprises: number[] = []
  #backend: ZooKeeperBackend | undefined

  async open(): Promise<this> {
    await this.#server.listen()
    const connect = this.#server.connectString
    this.#backend = zookeeperBackend({ connect, sessionTimeoutMs: 60_000, operationTimeoutMs: 10_000 })
    await this.#backend.ready()
    return this
  }

  get backend(): ZooKeeperBackend {
    if (this.#backend === undefined) throw new Error('It is not open.')
    return this.#backend
  }

  /** How many nodes the waiter listens to. */
  get watching(): number {
    return internalsOf(this.backend).sessions.current.watches.size
  }

  /** Adds to the script. What is answered by `SILENCE` has to be answered later. */
  follow(...steps: readonly Step[]): void {
    this.#steps.push(...steps)
  }

  /** Until all was asked that the script has, and nothing else. */
  async played(): Promise<void> {
    await vi.waitFor(() => {
      if (this.#surprises.length > 0)
        throw new Error(`It asked for ${this.#surprises.join()}, of which the script has nothing.`)
      if (this.#steps.length > 0) throw new Error(`It did not ask for all: ${this.#steps.length} steps are left.`)
    })
  }

  /** Answers the first that was not answered yet. */
  answer(answer: NonNullable<FakeAnswer>): void {
    const xid = this.#unanswered.shift()
    if (xid === undefined) throw new Error('All was answered.')
    this.#server.send(reply(xid, answer.code ?? 0, answer.payload))
  }

  tell(kind: number, node: string): void {
    this.#server.send(reply(EVENT_XID, 0, Buffer.concat([int(kind), int(CONNECTED), text(`${DIRECTORY}/${node}`)])))
  }

  /** What is unanswered is asked again. */
  cut(): void {
    this.#unanswered.splice(0)
    this.#server.drop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend?.close()
    await this.#server[Symbol.asyncDispose]()
  }

  #play(opcode: number, xid: number): FakeAnswer {
    // It takes back what it does not want any more, whenever that is; and it says that it goes.
    if (opcode === OPCODE.delete || opcode === CLOSE) return MISSING
    const [expected, answer] = this.#steps[0] ?? []
    if (expected !== opcode) this.#surprises.push(opcode)
    else this.#steps.shift()
    if (answer === undefined) this.#unanswered.push(xid)
    return answer
  }
}

/** One who waits, in third place, and what its node is called when the server gives it that number. */
function waiter({ backend }: Stage): { request: LeaseRequest; nodeOf: (sequence: number) => string } {
  const requestId = backend.leases.newRequestId()
  return {
    request: { resource: 'a', requestId, ttlMs: undefined, allowProvisional: true, meta: '{}' },
    nodeOf: sequence => `_c_${requestId}-lock-${String(sequence).padStart(10, '0')}`,
  }
}

describe('Who waits', () => {
  it('has no turn by what another server said of its node, which may not know yet that the node was deleted', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    const [own, again] = [nodeOf(2), nodeOf(3)]
    stage.follow(
      [create2, created(own)],
      [getChildren2, listed(FIRST, SECOND, own)],
      [getData, FOUND],
      [getData, FOUND],
      [getChildren2, SILENCE],
    )
    const granting = stage.backend.leases.grant(request)
    await vi.waitFor(() => expect(stage.watching).toBe(2))
    stage.tell(DELETED, FIRST)
    await stage.played()
    stage.tell(DELETED, SECOND)
    await vi.waitFor(() => expect(stage.watching).toBe(0))
    stage.follow(
      // A heartbeat; and what was asked before: who answers is behind.
      [create2, created('beat')],
      [getChildren2, listed(SECOND, own)],
      [getData, FOUND],
      // It has caught up.
      [getChildren2, listed()],
      [create2, created(again, 77n)],
      [getChildren2, listed(again)],
    )
    stage.cut()
    expect((await granting).token.value).toBe(77n)
    await stage.played()
  })

  it('listens to nothing any more once it has its turn, also when it was told twice that one had gone', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    const own = nodeOf(2)
    stage.follow(
      [create2, created(own)],
      [getChildren2, listed(FIRST, SECOND, own)],
      [getData, FOUND],
      [getData, SILENCE],
    )
    const granting = stage.backend.leases.grant(request)
    await stage.played()
    // By a watch that another waiter of the session had set, and by the answer.
    stage.follow([getChildren2, SILENCE])
    stage.tell(DELETED, FIRST)
    await stage.played()
    stage.follow([getChildren2, SILENCE])
    stage.answer(MISSING)
    await stage.played()
    for (let times = 0; times < 2; times++) {
      stage.follow([getData, SILENCE])
      stage.answer(listed(SECOND, own))
      await stage.played()
    }
    stage.answer(FOUND)
    stage.answer(FOUND)
    stage.tell(DELETED, SECOND)
    await granting
    expect(stage.watching).toBe(0)
    await stage.played()
  })

  it('has no turn in a node that was gone when it looked, and queues again', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    const again = nodeOf(3)
    stage.follow(
      [create2, created(nodeOf(2))],
      [getChildren2, listed(SECOND, nodeOf(2))],
      [getData, FOUND],
      [getData, MISSING],
    )
    const granting = stage.backend.leases.grant(request)
    await stage.played()
    stage.follow([getChildren2, listed()], [create2, created(again, 77n)], [getChildren2, listed(again)])
    stage.tell(DELETED, SECOND)
    expect((await granting).token.value).toBe(77n)
  })

  it('lists at its turn when somebody wrote into its node, of which it hears no more then', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    const again = nodeOf(3)
    stage.follow(
      [create2, created(nodeOf(2))],
      [getChildren2, listed(SECOND, nodeOf(2))],
      [getData, FOUND],
      [getData, FOUND],
    )
    const granting = stage.backend.leases.grant(request)
    await stage.played()
    stage.tell(CHANGED, nodeOf(2))
    stage.follow([getChildren2, listed()], [create2, created(again, 77n)], [getChildren2, listed(again)])
    stage.tell(DELETED, SECOND)
    expect((await granting).token.value).toBe(77n)
  })

  it('wakes when the one before it goes, whatever was written into the nodes before', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    const own = nodeOf(2)
    stage.follow(
      [create2, created(own)],
      [getChildren2, listed(FIRST, SECOND, own)],
      [getData, FOUND],
      [getData, FOUND],
    )
    const granting = stage.backend.leases.grant(request)
    await stage.played()
    // It looks again for the one before it, but not for the one before that.
    stage.follow([getChildren2, listed(FIRST, SECOND, own)], [getData, FOUND], [getData, FOUND])
    stage.tell(CHANGED, SECOND)
    await stage.played()
    stage.tell(CHANGED, FIRST)
    // Both have gone, and of the first nobody was told.
    stage.follow([getChildren2, listed(own)])
    stage.tell(DELETED, SECOND)
    expect((await granting).token.value).toBe(1n)
    expect(stage.watching).toBe(0)
  })

  it('is told that the backend was closed while it looks, and nothing more comes of that', async () => {
    await using stage = await new Stage().open()
    const { request, nodeOf } = waiter(stage)
    stage.follow(
      [create2, created(nodeOf(2))],
      [getChildren2, listed(FIRST, SECOND, nodeOf(2))],
      [getData, FOUND],
      [getData, FOUND],
    )
    const granting = stage.backend.leases.grant(request)
    granting.catch(() => undefined)
    await stage.played()
    stage.follow([getChildren2, SILENCE])
    stage.tell(DELETED, FIRST)
    await stage.played()
    stage.tell(DELETED, SECOND)
    await vi.waitFor(() => expect(stage.watching).toBe(0))
    await stage.backend.close()
    await expect(granting).rejects.toMatchObject({ code: 'HF_CLOSED' })
  })
})
