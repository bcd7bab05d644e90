import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Holdfast } from './holdfast.fixture.ts'
import type { RedisScope } from './redis-scope.fixture.ts'
import { redisScope } from './redis-scope.fixture.ts'

let redis: RedisScope
let folder: string
let env: Readonly<Record<string, string>>
let holdfast: Holdfast

beforeAll(async () => {
  redis = await redisScope()
})

afterAll(() => redis.remove())

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  env = { ...redis.env(), HOLDFAST_AUTHOR: 'ann' }
  holdfast = new Holdfast(env)
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function fileWith(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('holdfast config', () => {
  it('publishes a document, and prints what is published', async () => {
    const file = fileWith('config.json', '{"web": {"port": 8080, "name": "shop"}, "limits": {"burst": 5}}')
    const published = await holdfast.run(['publish', file, '--yes', '-m', 'the first'])
    expect(published).toMatchObject({ code: 0, stdout: 'Published release 1.\n' })
    expect(published.stderr).toContain('+ web')
    expect((await holdfast.run(['get', 'web.name'])).stdout).toBe('shop\n')
    expect((await holdfast.run(['get', 'web.port'])).stdout).toBe('8080\n')
    expect(JSON.parse((await holdfast.run(['get'])).stdout)).toEqual({
      web: { port: 8080, name: 'shop' },
      limits: { burst: 5 },
    })
    expect(await holdfast.json('get', 'web.port')).toMatchObject({ value: 8080, release: { number: 1 } })
  })

  it('merges, replaces and takes away', async () => {
    await holdfast.run(['publish', '-', '--yes'], { stdin: '{"web": {"port": 1, "name": "a"}, "old": {"x": 1}}' })
    await holdfast.run(['set', 'web.port=2', 'web.name=null', '--yes'])
    expect(await holdfast.json('get')).toMatchObject({ value: { web: { port: 2 }, old: { x: 1 } } })
    await holdfast.run(['publish', '-', '--replace', '--yes'], { stdin: '{"web": {"host": "h"}, "old": null}' })
    expect(await holdfast.json('get')).toMatchObject({ value: { web: { host: 'h' } }, release: { number: 3 } })
    expect((await holdfast.json('get')) as object).not.toHaveProperty('value.old')
  })

  it('writes nothing without a terminal and without --yes', async () => {
    const refused = await holdfast.run(['set', 'web.port=1'])
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toContain('give --yes')
    expect(await holdfast.run(['get'])).toMatchObject({ code: 1, stderr: 'Nothing is published.\n' })
  })

  it('ends with 3 when another has published, and says so to programs', async () => {
    await holdfast.run(['set', 'web.port=1', '--yes', '--expect', '0'])
    const conflict = await holdfast.run(['set', 'web.port=2', '--yes', '--expect', '0', '--json'])
    expect(conflict).toMatchObject({ code: 3, stdout: '' })
    expect(JSON.parse(conflict.stderr)).toMatchObject({ error: { code: 'HF_CONFLICT', exitCode: 3 } })
    expect((await holdfast.run(['get', 'web.port'])).stdout).toBe('1\n')
  })

  it('publishes once under one request id', async () => {
    const args = ['set', 'web.port=1', '--yes', '--request-id', 'deploy-7', '--json']
    const [first, second] = [await holdfast.run(args), await holdfast.run(args)]
    expect(JSON.parse(first.stdout)).toMatchObject({ isNew: true, release: { number: 1 } })
    expect(JSON.parse(second.stdout)).toMatchObject({ isNew: false, release: { number: 1 } })
  })

  it('shows what differs, lists the history, and rolls back', async () => {
    expect(await holdfast.run(['diff'])).toMatchObject({ code: 1 })
    for (const port of [1, 2, 3]) await holdfast.run(['set', `web.port=${port}`, '--yes', '-m', `port ${port}`])
    expect((await holdfast.run(['diff'])).stdout).toBe('~ web.port  2 → 3\n')
    expect((await holdfast.run(['diff', '3', '1'])).stdout).toBe('~ web.port  3 → 1\n')
    expect(await holdfast.run(['rollback', '-2', '--yes'])).toMatchObject({ code: 0, stdout: 'Published release 4.\n' })
    expect((await holdfast.run(['get', 'web.port'])).stdout).toBe('2\n')
    expect((await holdfast.run(['get', 'web.port', '--release', '3'])).stdout).toBe('3\n')
    expect(await holdfast.run(['get', '--release', '99'])).toMatchObject({ code: 2 })
    const { stdout } = await holdfast.run(['history', '--limit', '2'])
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^release +published/),
      expect.stringMatching(/^4 .* ann .* head +\(back to 2\)$/),
      expect.stringMatching(/^3 .* ann .* port 3$/),
    ])
  })

  it('says when nobody was there to apply a release', async () => {
    const { code, stdout, stderr } = await holdfast.run([
      'set',
      'web.port=1',
      '--yes',
      '--steps',
      'zone=a,100%',
      '--bake',
      '0ms',
    ])
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'Release 1: settled, and no instance was alive to apply it.\n',
    })
    expect(stderr).toContain('The first step reaches no instance.')
  })

  it('plans without writing', async () => {
    expect(await holdfast.json('plan', 'web.port=1')).toMatchObject({ changes: [{ kind: 'added' }], affected: [] })
    expect(await holdfast.run(['get'])).toMatchObject({ code: 1 })
  })

  it('validates with the namespaces of a module before anything is written', async () => {
    const schema = `{ '~standard': { version: 1, vendor: 'test', validate: value =>
      typeof value.port === 'number' ? { value } : { issues: [{ message: 'expected a number', path: ['port'] }] } } }`
    const module = fileWith(
      'namespaces.mjs',
      `import { defineNamespace } from '${import.meta.resolve('@holdfast/config-client')}'
       export const web = defineNamespace('web', { schema: ${schema} })`,
    )
    const refused = await holdfast.run(['set', 'web.port=http', '--yes', '--namespaces', module])
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain('web.port: expected a number')
    expect(await holdfast.run(['get'])).toMatchObject({ code: 1 })
    expect(await holdfast.run(['set', 'web.port=80', '--yes', '--namespaces', module])).toMatchObject({ code: 0 })
  })

  it('keeps secrets encrypted: what it prints can be published again and stays what it is', async () => {
    const module = fileWith(
      'namespaces.mjs',
      `import { defineNamespace } from '${import.meta.resolve('@holdfast/config-client')}'
       const schema = { '~standard': { version: 1, vendor: 'test', validate: value => ({ value }) } }
       export const db = defineNamespace('db', { schema, secrets: ['password'] })`,
    )
    const keys = fileWith('keys.json', JSON.stringify({ k1: randomBytes(32).toString('base64') }))
    const own = new Holdfast({ ...env, HOLDFAST_SECRET_KEYS: keys })
    const set = await own.run(['set', 'db.password=hunter2', '--yes', '--namespaces', module])
    expect(set).toMatchObject({ code: 0 })
    const printed = (await own.run(['get'])).stdout
    expect(`${set.stdout}${set.stderr}${printed}`).not.toContain('hunter2')
    expect(JSON.parse(printed)).toMatchObject({ db: { password: { $secret: { keyId: 'k1' } } } })
    const again = await own.run(['publish', '-', '--yes', '--namespaces', module, '--json'], { stdin: printed })
    expect(JSON.parse(again.stdout)).toMatchObject({ isNew: false })
    // Without its definition nobody knows that the field is a secret, but that it is encrypted now.
    const bare = await own.run(['set', 'db.password=hunter3', '--yes'])
    expect(bare).toMatchObject({ code: 4, stdout: '' })
    expect(bare.stderr).toContain('db.password: is encrypted, and would be in plain')
    expect(await own.run(['set', 'db.password=null', 'db.host=h', '--yes'])).toMatchObject({ code: 0 })
  })

  it('signs, and renders only what is signed where that is asked for', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const key = fileWith('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const trust = `ops=${fileWith('public.pem', publicKey.export({ type: 'spki', format: 'pem' }).toString())}`
    const template = fileWith('in', '{{ web.port }}')
    const render = ['render', '--template', template, '--output', join(folder, 'out'), '--trust', trust]
    await holdfast.run(['set', 'web.port=1', '--yes'])
    expect((await holdfast.run(render)).code).not.toBe(0)
    expect(await holdfast.run(['set', 'web.port=2', '--yes', '--sign-with', key])).toMatchObject({ code: 2 })
    await holdfast.run(['set', 'web.port=2', '--yes', '--sign-with', key, '--key-id', 'ops'])
    expect(await holdfast.run(render)).toMatchObject({ code: 0 })
  })

  it('ends with 5 when the store cannot be reached, and never prints a password', async () => {
    const args = ['get', '--backend', 'redis://u:hunter2@127.0.0.1:1', '--timeout', '300ms', '--json']
    const { code, stderr } = await holdfast.run(args)
    expect(code).toBe(5)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'HF_UNAVAILABLE' } })
    expect(stderr).not.toContain('hunter2')
  })

  it('ends with 2 for what it does not understand, and names what is near', async () => {
    expect(await holdfast.run(['statsu'])).toMatchObject({
      code: 2,
      stderr: 'Unknown command statsu: did you mean status?\n',
    })
    expect(await holdfast.run(['get', '--jsn'])).toMatchObject({
      code: 2,
      stderr: 'Unknown option --jsn: did you mean --json?\n',
    })
    expect(await new Holdfast({}).run(['get', '--app', 'a', '--env', 'e'])).toMatchObject({
      code: 2,
      stderr: 'Expected --backend, or HOLDFAST_BACKEND in the environment.\n',
    })
  })

  it('tells of itself, with and without a command', async () => {
    for (const args of [[], ['--help'], ['get', '--help']]) {
      const { code, stdout } = await new Holdfast({}).run(args)
      expect(code).toBe(0)
      expect(stdout).toContain('Exit codes:')
    }
    expect(await new Holdfast({}).run(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    })
  })

  it('shows no colours where there is no terminal', async () => {
    const { stdout, stderr } = await holdfast.run(['set', 'web.port=1', '--yes'])
    expect(stdout + stderr).not.toContain('\u001b')
  })
})
