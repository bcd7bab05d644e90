import type { Mode, Operation } from './operations.ts'
import { MODE, OPCODE, REPLY_PAYLOAD_OFFSET } from './operations.ts'
import type { Stat } from './jute.ts'
import { ReplyReader, RequestWriter, textBytes } from './jute.ts'

/** One step of a transaction. A version of -1 is any; 0 is 0 (the driver's own transactions take it for any). */
export type Step =
  | CreateStep
  | { readonly kind: 'set'; readonly path: string; readonly data: Uint8Array; readonly version: number }
  | { readonly kind: 'delete'; readonly path: string; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number }

/** Makes a node. */
export interface CreateStep {
  readonly kind: 'create'
  readonly path: string
  readonly data: Uint8Array
  /** Encoded. @default the transaction's */
  readonly acl?: Uint8Array
  /** @default a persistent one */
  readonly mode?: Mode
}

/** What a step did. */
export type StepResult =
  | { readonly kind: 'create'; readonly path: string }
  | { readonly kind: 'set'; readonly stat: Stat }
  | { readonly kind: 'delete' }
  | { readonly kind: 'check' }

/** All steps were done, or none: then `index` is the one that could not be. */
export type MultiOutcome =
  | { readonly kind: 'done'; readonly results: readonly StepResult[] }
  | { readonly kind: 'failed'; readonly index: number; readonly code: number }

const OPCODES = { create: OPCODE.create, set: OPCODE.setData, delete: OPCODE.delete, check: OPCODE.check } as const
const STEP_HEADER_BYTES = 9
const END = -1

/** A transaction: all of its steps, or none. `acl`, encoded, is that of the nodes it makes. */
export function multi(steps: readonly Step[], acl: Uint8Array): Operation<MultiOutcome> {
  const size = steps.reduce((sum, step) => sum + STEP_HEADER_BYTES + stepBytes(step, acl), STEP_HEADER_BYTES)
  const request = new RequestWriter(OPCODE.multi, size)
  for (const step of steps) writeStep(request.int(OPCODES[step.kind]).flag(false).int(-1), step, acl)
  request.int(END).flag(true).int(-1)
  return { request, isWrite: true, decode: decodeMulti }
}

function stepBytes(step: Step, acl: Uint8Array): number {
  switch (step.kind) {
    case 'create':
      return textBytes(step.path) + 4 + step.data.length + (step.acl ?? acl).length + 4
    case 'set':
      return textBytes(step.path) + 4 + step.data.length + 4
    case 'delete':
    case 'check':
      return textBytes(step.path) + 4
  }
}

function writeStep(request: RequestWriter, step: Step, acl: Uint8Array): void {
  switch (step.kind) {
    case 'create':
      request
        .text(step.path)
        .bytes(step.data)
        .raw(step.acl ?? acl)
        .int(step.mode ?? MODE.persistent)
      break
    case 'set':
      request.text(step.path).bytes(step.data).int(step.version)
      break
    case 'delete':
    case 'check':
      request.text(step.path).int(step.version)
  }
}

function decodeMulti(frame: Buffer): MultiOutcome {
  const reader = new ReplyReader(frame, REPLY_PAYLOAD_OFFSET)
  const results: StepResult[] = []
  let failed: MultiOutcome | undefined
  for (let index = 0; ; index++) {
    const opcode = reader.int()
    const isEnd = reader.flag()
    reader.int()
    if (isEnd) return failed ?? { kind: 'done', results }
    if (opcode === END) {
      // Those before the one that failed say 0; those behind it say that they were not tried.
      const code = reader.int()
      if (code !== 0) failed ??= { kind: 'failed', index, code }
    } else {
      results.push(readResult(opcode, reader))
    }
  }
}

function readResult(opcode: number, reader: ReplyReader): StepResult {
  switch (opcode) {
    case OPCODE.create:
      return { kind: 'create', path: reader.text() }
    case OPCODE.setData:
      return { kind: 'set', stat: reader.stat() }
    case OPCODE.delete:
      return { kind: 'delete' }
    case OPCODE.check:
      return { kind: 'check' }
    default:
      throw new RangeError(`A transaction's reply has a result of kind ${opcode}.`)
  }
}
