import type { ConfigAdmin, Scope } from '@holdfast/config-client'
import type { Backend, Clock } from '@holdfast/core'
import type { Arguments } from './command-line.ts'
import type { Definitions } from './definitions.ts'
import type { ExitCode } from './exit-codes.ts'
import type { OptionSpecs } from './option-specs.ts'
import type { Output } from './output/output.ts'

/** What a command works with. */
export interface Session {
  readonly args: Arguments
  readonly output: Output
  readonly scope: Scope
  /** It has answered. */
  readonly backend: Backend
  readonly definitions: Definitions
  readonly admin: ConfigAdmin
  readonly clock: Clock
  /** Aborts when whoever started it wants it to end. */
  readonly signal: AbortSignal
  /** Aborts when it is wanted a second time: then scripts are ended as well. */
  readonly urgent: AbortSignal
}

/** Something that `holdfast config` can do. */
export interface Command {
  readonly name: string
  /** Behind the name, as the help shows it. */
  readonly positionals: string
  /** One line. */
  readonly says: string
  /** What else the help tells. */
  readonly more?: string
  readonly options: OptionSpecs
  /** Whether it comes to a good end by itself when it is interrupted; others are left where they are. @default false */
  readonly mindsInterrupts?: boolean
  /** Without an exit code it is done. */
  readonly run: (session: Session) => Promise<ExitCode | void>
}
