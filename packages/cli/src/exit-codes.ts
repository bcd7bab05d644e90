import { HoldfastError } from '@holdfast/core'

/** What the process answers to whoever started it. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6

interface Exit {
  readonly code: ExitCode
  readonly says: string
}

/** Each exit code and what it means: for `--help`, and for the page. */
export const EXIT: Readonly<
  Record<'done' | 'failed' | 'usage' | 'conflict' | 'refused' | 'unreachable' | 'unconfirmed', Exit>
> = Object.freeze({
  done: { code: 0, says: 'done' },
  failed: { code: 1, says: 'failed, or there is no such value' },
  usage: {
    code: 2,
    says: 'not understood, no such release, or a confirmation is needed and nobody is there to ask',
  },
  conflict: { code: 3, says: 'another has published meanwhile' },
  refused: { code: 4, says: 'refused: by validation, by permission, by an instance, or by a script' },
  unreachable: { code: 5, says: 'the store cannot be reached, or its answer never came' },
  unconfirmed: { code: 6, says: 'not confirmed: by you when asked, or by all instances with --wait' },
})

/** Ends a command with an exit code; the message is a sentence for whoever typed it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** For scripts: what `--json` prints beside the message. */
  readonly code: string
  readonly exitCode: ExitCode

  constructor(kind: keyof typeof EXIT, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = kind
    this.exitCode = EXIT[kind].code
  }
}

/** What was typed cannot be understood. */
export function usageError(message: string): CommandError {
  return new CommandError('usage', message)
}

/** The exit code that an error ends the process with. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode
  return error instanceof HoldfastError ? exitOf(error).code : EXIT.failed.code
}

function exitOf({ code }: HoldfastError): Exit {
  switch (code) {
    case 'HF_INVALID_ARGUMENT':
    case 'HF_UNSUPPORTED':
      return EXIT.usage
    case 'HF_CONFLICT':
      return EXIT.conflict
    case 'HF_INVALID_CONFIG':
    case 'HF_FORBIDDEN':
    case 'HF_REFUSED':
    case 'HF_UNTRUSTED':
      return EXIT.refused
    case 'HF_UNAVAILABLE':
    case 'HF_UNKNOWN_OUTCOME':
    case 'HF_WAIT_TIMEOUT':
      return EXIT.unreachable
    default:
      return EXIT.failed
  }
}
