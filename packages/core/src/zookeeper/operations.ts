import type { DriverRequest, Stat } from './jute.ts'
import { ReplyReader, RequestWriter, textBytes } from './jute.ts'

/** Where the payload of a reply starts: behind length, xid, zxid and error code. */
export const REPLY_PAYLOAD_OFFSET = 20

/** A request, and how to read its reply. */
export interface Operation<T> {
  readonly request: DriverRequest
  /** Whether it goes through the quorum: then its answer proves that the session was alive when it was sent. */
  readonly isWrite: boolean
  readonly decode: (frame: Buffer) => T
  /** That there is no such node is an answer as well: undefined. @default it is an error */
  readonly isMissingAnswered?: boolean
}

/** The operation codes that the adapter sends. */
export const OPCODE = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  sync: 9,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  removeWatches: 18,
  createContainer: 19,
} as const

/** How a node is created. */
export const MODE = { persistent: 0, ephemeral: 1, ephemeralSequential: 3, container: 4 } as const

export type Mode = (typeof MODE)[keyof typeof MODE]

/** A node that was created. */
export interface Created {
  /** The full path; of a sequential node with its number. */
  readonly path: string
  /** The transaction that created it. */
  readonly czxid: bigint
}

/** The data of a node. */
export interface NodeData {
  readonly data: Buffer
  readonly stat: Stat
}

export const NO_DATA: Uint8Array = new Uint8Array(0)

// Watches of all kinds.
const WATCHES_ANY = 3

/** Creates a node; `acl` is encoded. Containers are a kind of node that the server deletes some time after their last child went. */
export function create(path: string, data: Uint8Array, mode: Mode, acl: Uint8Array): Operation<Created> {
  const size = textBytes(path) + 4 + data.length + acl.length + 4
  const opcode = mode === MODE.container ? OPCODE.createContainer : OPCODE.create2
  const request = new RequestWriter(opcode, size).text(path).bytes(data).raw(acl).int(mode)
  return { request, isWrite: true, decode: decodeCreated }
}

/** Deletes a node; a version of -1 is any. */
export function remove(path: string, version = -1): Operation<undefined> {
  const request = new RequestWriter(OPCODE.delete, textBytes(path) + 4).text(path).int(version)
  return { request, isWrite: true, decode: decodeNothing }
}

/** Writes a node's data; a version of -1 is any. The reply is its new version. */
export function setData(path: string, data: Uint8Array, version = -1): Operation<number> {
  const size = textBytes(path) + 4 + data.length + 4
  const request = new RequestWriter(OPCODE.setData, size).text(path).bytes(data).int(version)
  return { request, isWrite: true, decode: decodeVersion }
}

/** Reads a node's data; with `watch` the server tells when it next changes or goes. */
export function getData(path: string, watch = false): Operation<NodeData> {
  const request = new RequestWriter(OPCODE.getData, textBytes(path) + 1).text(path).flag(watch)
  return { request, isWrite: false, decode: decodeData }
}

/** Asks whether there is a node; with `watch` the server tells when it next changes, goes or comes. */
export function exists(path: string, watch = false): Operation<Stat> {
  const request = new RequestWriter(OPCODE.exists, textBytes(path) + 1).text(path).flag(watch)
  return { request, isWrite: false, decode: decodeStat }
}

/** The names of a node's children, in no order; with `watch` the server tells when one next comes or goes. */
export function getChildren(path: string, watch = false): Operation<readonly string[]> {
  return { request: childrenRequest(path, watch), isWrite: false, decode: decodeNames }
}

/** Only has the server tell when a child next comes or goes. */
export function watchChildren(path: string): Operation<undefined> {
  return { request: childrenRequest(path, true), isWrite: false, decode: decodeNothing }
}

/** Ends this connection's watches on a node. */
export function removeWatches(path: string): Operation<undefined> {
  const request = new RequestWriter(OPCODE.removeWatches, textBytes(path) + 4).text(path).int(WATCHES_ANY)
  return { request, isWrite: false, decode: decodeNothing }
}

/** Makes the server that we are connected to catch up with the leader before it answers what follows. */
export function sync(path: string): Operation<undefined> {
  const request = new RequestWriter(OPCODE.sync, textBytes(path)).text(path)
  return { request, isWrite: false, decode: decodeNothing }
}

function decodeCreated(frame: Buffer): Created {
  const reader = new ReplyReader(frame, REPLY_PAYLOAD_OFFSET)
  return { path: reader.text(), czxid: reader.stat().czxid }
}

function decodeVersion(frame: Buffer): number {
  return new ReplyReader(frame, REPLY_PAYLOAD_OFFSET).stat().version
}

function decodeData(frame: Buffer): NodeData {
  const reader = new ReplyReader(frame, REPLY_PAYLOAD_OFFSET)
  return { data: reader.bytes(), stat: reader.stat() }
}

function decodeStat(frame: Buffer): Stat {
  return new ReplyReader(frame, REPLY_PAYLOAD_OFFSET).stat()
}

function decodeNames(frame: Buffer): readonly string[] {
  return new ReplyReader(frame, REPLY_PAYLOAD_OFFSET).texts()
}

function childrenRequest(path: string, watch: boolean): DriverRequest {
  return new RequestWriter(OPCODE.getChildren2, textBytes(path) + 1).text(path).flag(watch)
}

function decodeNothing(): undefined {}
