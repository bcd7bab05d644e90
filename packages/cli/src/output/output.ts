import type { ExitCode } from '../exit-codes.ts'

/** Where results and remarks go. Results are on standard output, everything else on standard error. */
export interface Output {
  readonly isJson: boolean
  readonly paint: Paint
  /** The result: one object for programs, or a text for people. */
  result(object: object, text: () => string): void
  /** A line for people alone, beside the result. */
  remark(text: string): void
  /** One line that is overwritten by the next, on a terminal; elsewhere nothing. */
  progress(text: string): void
  error(error: unknown, exitCode: ExitCode): void
}

/** Colours of a terminal; each gives the text back as it is where there are none. */
export interface Paint {
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
}

/** What output goes to: `process`, or a test's. */
export interface OutputStreams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
}

const CLEAR_LINE = '\r\u001b[2K'

export function outputTo({ stdout, stderr, env }: OutputStreams, isJson: boolean): Output {
  let hasProgress = false
  const say = (stream: OutputStreams['stdout'], text: string): void => {
    if (hasProgress) stderr.write(CLEAR_LINE)
    hasProgress = false
    stream.write(`${text}\n`)
  }
  return {
    isJson,
    paint: paintFor(stdout.isTTY === true && isColourful(env) && !isJson),
    result: (object, text) => say(stdout, isJson ? JSON.stringify(object) : text()),
    remark(text) {
      if (!isJson) say(stderr, text)
    },
    progress(text) {
      if (isJson || stderr.isTTY !== true) return
      stderr.write(CLEAR_LINE + text)
      hasProgress = true
    },
    error(error, exitCode) {
      say(stderr, isJson ? JSON.stringify({ error: { ...describe(error), exitCode } }) : describe(error).message)
    },
  }
}

/** @see https://no-color.org */
function isColourful({ NO_COLOR, TERM }: OutputStreams['env']): boolean {
  return (NO_COLOR ?? '') === '' && TERM !== 'dumb'
}

function paintFor(isColourful: boolean): Paint {
  const code = (begin: number, end: number) => (text: string) =>
    isColourful ? `\u001b[${begin}m${text}\u001b[${end}m` : text
  return { red: code(31, 39), green: code(32, 39), yellow: code(33, 39), dim: code(2, 22), bold: code(1, 22) }
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  const { code, message } = Object(error) as { readonly code?: unknown; readonly message?: unknown }
  return {
    code: typeof code === 'string' ? code : 'failed',
    message: typeof message === 'string' && message !== '' ? message : String(error),
  }
}
