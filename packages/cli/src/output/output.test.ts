import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { CommandError } from '../exit-codes.ts'
import { showChanges } from './changes.ts'
import type { Terminal } from './confirm.ts'
import { confirm } from './confirm.ts'
import type { OutputStreams } from './output.ts'
import { outputTo } from './output.ts'
import { printable } from './releases.ts'
import { table } from './table.ts'

function streams(env: Record<string, string> = {}, isTTY = true) {
  const written = { stdout: '', stderr: '' }
  const to = (name: 'stdout' | 'stderr') => ({ isTTY, write: (chunk: string) => (written[name] += chunk) })
  const target: OutputStreams = { stdout: to('stdout'), stderr: to('stderr'), env }
  return { written, target }
}

const CHANGES = [
  { kind: 'changed', namespace: 'web', path: ['port'], before: 1, after: 2 },
  { kind: 'added', namespace: 'web', path: ['limits', 'burst'], before: undefined, after: { a: 1 } },
  { kind: 'removed', namespace: 'old', path: [], before: 'x'.repeat(500), after: undefined },
] as const

describe('output', () => {
  it('is a text for people, and an object for programs', () => {
    const [people, programs] = [streams(), streams()]
    outputTo(people.target, false).result({ a: 1 }, () => 'one')
    outputTo(programs.target, true).result({ a: 1 }, () => 'one')
    expect([people.written.stdout, programs.written.stdout]).toEqual(['one\n', '{"a":1}\n'])
  })

  it('keeps remarks from programs, and from the result', () => {
    const [people, programs] = [streams(), streams()]
    outputTo(people.target, false).remark('by the way')
    outputTo(programs.target, true).remark('by the way')
    expect(people.written).toEqual({ stdout: '', stderr: 'by the way\n' })
    expect(programs.written).toEqual({ stdout: '', stderr: '' })
  })

  it('overwrites progress, on a terminal alone', () => {
    const [terminal, pipe] = [streams(), streams({}, false)]
    for (const { target } of [terminal, pipe]) {
      const output = outputTo(target, false)
      output.progress('1 of 2')
      output.progress('2 of 2')
      output.result({}, () => 'done')
    }
    expect(terminal.written).toEqual({ stdout: 'done\n', stderr: '\r\u001b[2K1 of 2\r\u001b[2K2 of 2\r\u001b[2K' })
    expect(pipe.written).toEqual({ stdout: 'done\n', stderr: '' })
  })

  it('has colours on a terminal that wants them', () => {
    const paints = [streams(), streams({ NO_COLOR: '1' }), streams({ TERM: 'dumb' }), streams({}, false)].map(
      ({ target }) => outputTo(target, false).paint.red('x'),
    )
    expect(paints).toEqual(['\u001b[31mx\u001b[39m', 'x', 'x', 'x'])
    expect(outputTo(streams({ NO_COLOR: '' }).target, false).paint.red('x')).toContain('\u001b')
  })

  it('has errors with code and message for programs, and something for whatever was thrown', () => {
    const { target, written } = streams()
    outputTo(target, true).error(new CommandError('conflict', 'No.'), 3)
    outputTo(target, true).error('odd', 1)
    expect(
      written.stderr
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as unknown),
    ).toEqual([
      { error: { code: 'conflict', message: 'No.', exitCode: 3 } },
      { error: { code: 'failed', message: 'odd', exitCode: 1 } },
    ])
  })

  it('lists changes one a line, and long values shortened', () => {
    const lines = showChanges(CHANGES, outputTo(streams({}, false).target, false).paint).split('\n')
    expect(lines.slice(0, 2)).toEqual(['~ web.port          1 → 2', '+ web.limits.burst  {"a":1}'])
    expect(lines[2]).toMatch(/^- old +"x{119}…$/)
    expect(showChanges([], outputTo(streams().target, false).paint)).toBe('Nothing differs.')
  })

  it('lets nobody else write commands to the terminal', () => {
    expect(printable('a\u001b[2Jb\nc')).toBe('a [2Jb c')
  })

  it('aligns tables by what is seen', () => {
    expect(
      table([
        ['a', 'b'],
        ['\u001b[31mxxx\u001b[39m', 'y'],
        ['z', ''],
      ]),
    ).toBe('a    b\n\u001b[31mxxx\u001b[39m  y\nz')
  })
})

describe('a confirmation', () => {
  function terminal(answer: string | undefined, isTTY = true) {
    const [stdin, stderr] = [new PassThrough(), new PassThrough()]
    if (answer === undefined) stdin.end()
    else stdin.write(answer)
    return { stdin: Object.assign(stdin, { isTTY }), stderr: Object.assign(stderr, { isTTY }) }
  }

  function ask(own: Partial<Parameters<typeof confirm>[1]> & { terminal: Terminal }): Promise<void> {
    return confirm('Publish?', { isYes: false, isJson: false, signal: new AbortController().signal, ...own })
  }

  it('takes yes, and nothing else, for a yes', async () => {
    await expect(ask({ terminal: terminal('y\n') })).resolves.toBeUndefined()
    await expect(ask({ terminal: terminal('YES\n') })).resolves.toBeUndefined()
    for (const answer of ['n\n', '\n', 'yep\n', undefined]) {
      await expect(ask({ terminal: terminal(answer) })).rejects.toMatchObject({ code: 'unconfirmed', exitCode: 6 })
    }
  })

  it('says what is asked', async () => {
    const asked = terminal('y\n')
    await ask({ terminal: asked })
    asked.stderr.end()
    expect(await text(asked.stderr)).toContain('Publish? [y/N] ')
  })

  it('is not asked for when it was given before', async () => {
    await expect(ask({ terminal: terminal(undefined, false), isYes: true })).resolves.toBeUndefined()
  })

  it('is refused where there is nobody to ask', async () => {
    await expect(ask({ terminal: terminal('y\n', false) })).rejects.toMatchObject({ code: 'usage', exitCode: 2 })
    await expect(ask({ terminal: terminal('y\n'), isJson: true })).rejects.toMatchObject({ code: 'usage', exitCode: 2 })
  })

  it('is a no when it is interrupted', async () => {
    const interrupt = new AbortController()
    const asking = ask({ terminal: terminal(''), signal: interrupt.signal })
    interrupt.abort()
    await expect(asking).rejects.toMatchObject({ code: 'unconfirmed' })
  })
})
