export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'alarm'

/** Gives text a look, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

const CODES: Readonly<Record<Style, string>> = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  cyan: '36',
  // White on red.
  alarm: '1;97;41',
}

export const colored: Paint = (style, text) => (text === '' ? '' : `\u001b[${CODES[style]}m${text}\u001b[0m`)

export const uncolored: Paint = (_style, text) => text

/** @see https://no-color.org */
export function paintFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Paint {
  const wantsColor = stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  return wantsColor ? colored : uncolored
}
