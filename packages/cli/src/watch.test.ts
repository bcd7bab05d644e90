import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '@holdfast/scripts/servers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Holdfast } from './holdfast.fixture.ts'
import type { RedisScope } from './redis-scope.fixture.ts'
import { redisScope } from './redis-scope.fixture.ts'

const UNTIL = { timeout: 60_000, interval: 50 }

let redis: RedisScope
let folder: string
let holdfast: Holdfast

beforeAll(async () => {
  redis = await redisScope()
})

afterAll(() => redis.remove())

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  holdfast = new Holdfast({ ...redis.env(), DIR: folder })
})

afterEach(async () => {
  await holdfast.end()
  // A script of a command that was killed may be writing still.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
})

function read(name: string): string {
  const path = join(folder, name)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

function linesOf(text: string): readonly unknown[] {
  return text
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as unknown)
}

const LOGS = `echo "$HF_APP $HF_ENV $HF_PREVIOUS_REVISION $HF_REVISION $(cat)" >> "$DIR/log"`

describe('watch', () => {
  it('prints a line for each change, and no publisher counts on it', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const watch = holdfast.start('watch', '--json')
    await vi.waitFor(
      () => expect(linesOf(watch.stdout)).toMatchObject([{ event: 'started', release: { number: 1 } }]),
      UNTIL,
    )
    expect(await holdfast.json('instances')).toEqual({ instances: [] })
    await holdfast.run(['set', 'web.port=2', '--yes'])
    await vi.waitFor(() => {
      const applied = linesOf(watch.stdout).filter(line => (line as { event: string }).event === 'applied')
      expect(applied).toMatchObject([{ release: { number: 2 }, previous: { number: 1 } }])
    }, UNTIL)
    watch.interrupt()
    expect(await watch.code()).toBe(0)
  })

  it('runs a script at the start and for each release, as an instance that publishers see', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const watch = holdfast.start('watch', '--exec', LOGS, '--instance', 'w1', '--label', 'zone=a')
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    const published = await holdfast.json('set', 'web.port=2', '--yes', '--wait')
    expect(published).toMatchObject({ settlement: { kind: 'settled', applied: ['w1'] } })
    await holdfast.run(['set', 'web.port=3', '--yes', '--wait'])
    expect(read('log').trim().split('\n')).toEqual([
      'shop test  1 {"web":{"port":1}}',
      'shop test 1 2 {"web":{"port":2}}',
      'shop test 2 3 {"web":{"port":3}}',
    ])
    expect(await holdfast.json('status')).toMatchObject({
      instances: [{ id: 'w1', labels: { zone: 'a' }, standing: 'applied', applied: { number: 3 } }],
    })
    watch.interrupt()
    expect(await watch.code()).toBe(0)
  })

  it('refuses a release whose script fails, and its publisher sees why', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const script = `${LOGS}; [ "$HF_REVISION" != 2 ] || { echo "port 2 is taken" >&2; exit 3; }`
    const watch = holdfast.start('watch', '--exec', script, '--instance', 'w1')
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    const refused = await holdfast.run(['set', 'web.port=2', '--yes', '--wait'])
    expect(refused.code).toBe(4)
    expect(refused.stdout).toContain('w1 refused at commit')
    expect(refused.stdout).toContain('ended with 3: port 2 is taken')
    const { stdout } = await holdfast.run(['status'])
    expect(stdout).toMatch(/w1 +refused +release 1 .*port 2 is taken/)
    // Nothing is lost by it: the next release is applied on top of the one before.
    expect(await holdfast.run(['set', 'web.port=3', '--yes', '--wait'])).toMatchObject({ code: 0 })
    expect(read('log').trim().split('\n').at(-1)).toBe('shop test 1 3 {"web":{"port":3}}')
  })

  it('takes part in rollouts in steps, which turn back when a script fails', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const watch = holdfast.start('watch', '--exec', '! grep -q 13', '--instance', 'w1', '--label', 'zone=a')
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    const steps = ['--yes', '--steps', 'zone=a,100%', '--bake', '0ms']
    expect(await holdfast.run(['set', 'web.port=2', ...steps])).toMatchObject({
      code: 0,
      stdout: 'Release 2: settled, 1 applied, 0 refused, 0 silent.\n',
    })
    const aborted = await holdfast.run(['set', 'web.port=13', ...steps])
    expect(aborted.code).toBe(4)
    expect(aborted.stdout).toContain('Release 3: aborted (w1 refused it')
    expect(await holdfast.json('history')).toMatchObject({
      releases: [{ standing: 'withdrawn' }, { standing: 'head' }, {}],
    })
    expect((await holdfast.run(['history'])).stdout).toMatch(/^3 .* withdrawn +\(taken back: w1 refused it/m)
    expect(await holdfast.run(['resume', '--yes'])).toMatchObject({ code: 1 })
  })

  it('ends with 4 when the script fails at the start', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const watch = holdfast.start('watch', '--exec', 'exit 9', '--json')
    expect(await watch.code()).toBe(4)
    expect(JSON.parse(watch.stderr)).toMatchObject({ error: { code: 'refused' } })
    expect(await holdfast.json('instances')).toEqual({ instances: [] })
  })

  it('waits for the first release, and follows namespaces that come later', async () => {
    const watch = holdfast.start('watch', '--exec', LOGS)
    await vi.waitFor(() => expect(watch.stdout).toContain('follows, at no release'), UNTIL)
    await holdfast.run(['set', 'web.port=1', '--yes'])
    await vi.waitFor(() => expect(read('log')).toBe('shop test  1 {"web":{"port":1}}\n'), UNTIL)
    await vi.waitFor(() => expect(watch.stdout).toContain('follows, at release 1'), UNTIL)
    await holdfast.run(['set', 'web.port=2', 'limits.burst=5', '--yes'])
    await vi.waitFor(
      () => expect(read('log')).toContain('shop test 1 2 {"limits":{"burst":5},"web":{"port":2}}\n'),
      UNTIL,
    )
    await vi.waitFor(() => expect(watch.stdout).toContain('follows, at release 2'), UNTIL)
    await holdfast.run(['set', 'limits.burst=6', '--yes', '--wait'])
    expect(read('log').trim().split('\n')).toHaveLength(3)
    await holdfast.run(['set', 'alone.x=1', '--yes'])
    await vi.waitFor(() => expect(read('log')).toContain('shop test 3 4 {"alone":{"x":1},"limits":{"burst":6},'), UNTIL)
  })

  it('lets a script end in good order when it is interrupted', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const script =
      '[ "$HF_REVISION" = 1 ] || { touch "$DIR/begun"; until [ -e "$DIR/go" ]; do sleep 0.05; done; touch "$DIR/done"; }'
    const watch = holdfast.start('watch', '--exec', script)
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    await holdfast.run(['set', 'web.port=2', '--yes'])
    await vi.waitFor(() => expect(existsSync(join(folder, 'begun'))).toBe(true), UNTIL)
    watch.interrupt()
    writeFileSync(join(folder, 'go'), '')
    expect(await watch.code()).toBe(0)
    expect(existsSync(join(folder, 'done'))).toBe(true)
  })

  it('ends a script that hangs when it is interrupted twice', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const watch = holdfast.start('watch', '--exec', '[ "$HF_REVISION" = 1 ] || { touch "$DIR/begun"; sleep 300; }')
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    await holdfast.run(['set', 'web.port=2', '--yes'])
    await vi.waitFor(() => expect(existsSync(join(folder, 'begun'))).toBe(true), UNTIL)
    watch.interrupt()
    await vi.waitFor(() => expect(watch.stderr).toContain('interrupted again it is undone'), UNTIL)
    watch.interrupt()
    expect(await watch.code()).toBe(0)
  })
})

describe('render', () => {
  function files(): { readonly template: string; readonly output: string; readonly args: readonly string[] } {
    const [template, output] = [join(folder, 'web.conf.in'), join(folder, 'web.conf')]
    writeFileSync(template, '# release {{ @revision }}\nlisten {{ web.port }}\n')
    return { template, output, args: ['render', '--template', template, '--output', output] }
  }

  it('puts files in place once, and leaves them when they say the same', async () => {
    const { args, output } = files()
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const rendered = await holdfast.run([...args, '--reload', 'echo "$HF_REVISION" >> "$DIR/reloads"'])
    expect(rendered).toMatchObject({ code: 0, stdout: 'Rendered release 1.\n' })
    expect(read('web.conf')).toBe('# release 1\nlisten 1\n')
    expect(statSync(output).mode & 0o777).toBe(0o600)
    expect((await holdfast.run([...args, '--reload', 'exit 1'])).stdout).toContain('say what release 1 says already')
    expect(read('reloads')).toBe('1\n')
  })

  it('touches nothing when a value is missing or a check fails', async () => {
    const { args, template } = files()
    await holdfast.run(['set', 'web.port=1', '--yes'])
    await holdfast.run(args)
    await holdfast.run(['set', 'web.port=2', '--yes'])
    const check = `grep -q "listen 1" "$HF_FILE" || { echo "$HF_OUTPUT is wrong" >&2; exit 1; }`
    const refused = await holdfast.run([...args, '--check', check])
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain(`${join(folder, 'web.conf')} is wrong`)
    writeFileSync(template, '{{ web.prot }}')
    const missing = await holdfast.run([...args, '--json'])
    expect(missing.code).toBe(4)
    expect(JSON.parse(missing.stderr)).toMatchObject({
      error: { code: 'refused', message: `${template}:1: web.prot is missing.` },
    })
    expect(read('web.conf')).toBe('# release 1\nlisten 1\n')
  })

  it('follows with --watch: what cannot be reloaded comes back, and its publisher sees why', async () => {
    const { args } = files()
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const reload = `cat "$DIR/web.conf" >> "$DIR/reloads"; ! grep -q "listen 2" "$DIR/web.conf"`
    const watch = holdfast.start(...args, '--watch', '--instance', 'r1', '--reload', reload)
    await vi.waitFor(() => expect(watch.stdout).toContain('follows'), UNTIL)
    const refused = await holdfast.run(['set', 'web.port=2', '--yes', '--wait'])
    expect(refused.code).toBe(4)
    expect(refused.stdout).toContain('The files are what they were, and were reloaded')
    expect(read('web.conf')).toBe('# release 1\nlisten 1\n')
    expect(read('reloads').match(/listen \d/g)).toEqual(['listen 1', 'listen 2', 'listen 1'])
    expect(await holdfast.run(['set', 'web.port=3', '--yes', '--wait'])).toMatchObject({ code: 0 })
    expect(read('web.conf')).toBe('# release 3\nlisten 3\n')
    watch.interrupt()
    expect(await watch.code()).toBe(0)
  })

  it('puts the files of a run that was killed back before anything else', async () => {
    const { args } = files()
    await holdfast.run(['set', 'web.port=1', '--yes'])
    await holdfast.run(args)
    await holdfast.run(['set', 'web.port=2', '--yes'])
    const killed = holdfast.start(...args, '--reload', 'touch "$DIR/begun"; kill -9 $PPID')
    expect(await killed.code()).toBeNull()
    expect(read('web.conf')).toBe('# release 2\nlisten 2\n')
    const refused = await holdfast.run([...args, '--check', 'exit 1'])
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain('An earlier run was broken off')
    expect(read('web.conf')).toBe('# release 1\nlisten 1\n')
    expect(readdirSync(folder).filter(name => name.includes('holdfast'))).toEqual([])
  })

  it('starts without the store from the last good release', async () => {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    const own = new Holdfast({ HOLDFAST_BACKEND: server.url, HOLDFAST_APP: 'shop', HOLDFAST_ENV: 'test' })
    const args = [...files().args, '--state-dir', join(folder, 'state'), '--timeout', '1s']
    await own.run(['set', 'web.port=1', '--yes'])
    expect(await own.run(args)).toMatchObject({ code: 0 })
    await server.stop()
    rmSync(join(folder, 'web.conf'))
    expect(JSON.parse((await own.run([...args, '--json'])).stdout)).toMatchObject({ source: 'last-known-good' })
    expect(read('web.conf')).toBe('# release 1\nlisten 1\n')
  })

  it('comes to its end when it is interrupted, and undoes it when that is urgent', async () => {
    const { args } = files()
    await holdfast.run(['set', 'web.port=1', '--yes'])
    const reload = 'touch "$DIR/begun"; until [ -e "$DIR/go" ]; do sleep 0.05; done'
    const patient = holdfast.start(...args, '--reload', reload)
    await vi.waitFor(() => expect(existsSync(join(folder, 'begun'))).toBe(true), UNTIL)
    patient.interrupt()
    writeFileSync(join(folder, 'go'), '')
    expect(await patient.code()).toBe(0)
    expect(read('web.conf')).toContain('listen 1')
    await holdfast.run(['set', 'web.port=2', '--yes'])
    const urgent = holdfast.start(
      ...args,
      '--reload',
      'grep -q "listen 1" "$DIR/web.conf" || { touch "$DIR/hangs"; sleep 300; }',
    )
    await vi.waitFor(() => expect(existsSync(join(folder, 'hangs'))).toBe(true), UNTIL)
    urgent.interrupt()
    urgent.terminate()
    expect(await urgent.code()).toBe(4)
    expect(read('web.conf')).toContain('listen 1')
  })

  it('refuses templates without outputs', async () => {
    expect(await holdfast.run(['render', '--template', 'x'])).toMatchObject({ code: 2 })
  })
})
