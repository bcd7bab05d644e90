import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const here = fileURLToPath(new URL('./unread-output.mjs', import.meta.url))

/**
 * Runs a program that writes for ever, and leaves after its first words.
 * @param {{ setup: string, stream: 'stdout' | 'stderr' }} program
 */
async function leave({ setup, stream }) {
  const endless = `setInterval(() => process.${stream}.write('words\\n'), 1)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', `${setup}\n${endless}`])
  const heard = { stdout: '', stderr: '' }
  for (const each of /** @type {const} */ (['stdout', 'stderr'])) {
    child[each].on('data', data => {
      if (each === stream) child[each].destroy()
      else heard[each] += String(data)
    })
  }
  const [code] = await once(child, 'close')
  return { code, said: heard[stream === 'stdout' ? 'stderr' : 'stdout'] }
}

const listening = `import { endWhenUnread } from ${JSON.stringify(here)}\nendWhenUnread(process)`

test.each(/** @type {const} */ (['stdout', 'stderr']))(
  'a program whose %s nobody reads any more ends quietly',
  async stream => {
    expect(await leave({ setup: listening, stream })).toEqual({ code: 0, said: '' })
  },
)

test('what it had found wrong by then stays its exit code', async () => {
  const setup = `${listening}\nprocess.exitCode = 3`
  expect(await leave({ setup, stream: 'stdout' })).toEqual({ code: 3, said: '' })
})

test('without it, the same ends with a stack trace', async () => {
  const { code, said } = await leave({ setup: '', stream: 'stdout' })
  expect(code).toBe(1)
  expect(said).toContain('EPIPE')
})

test('another error of a stream is thrown', async () => {
  const broken = `${listening}\nprocess.stdout.emit('error', Object.assign(new Error('disk full'), { code: 'ENOSPC' }))`
  const { code, said } = await leave({ setup: broken, stream: 'stdout' })
  expect(code).toBe(1)
  expect(said).toContain('disk full')
})
