import { describe, expect, it } from 'vitest'
import { RefusedError, UnavailableError } from '../errors.ts'
import { isReplyError, isUnknownScript, refusal, unavailable } from './errors.ts'

function reply(message: string): Error {
  return Object.assign(new Error(message), {
    name: 'ReplyError',
    command: { name: 'evalsha', args: ['a long script'] },
  })
}

describe('What the server answers', () => {
  it.each([
    'NOPERM this user has no permissions to run the evalsha command',
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    "OOM command not allowed when used memory > 'maxmemory'.",
    'NOAUTH Authentication required.',
    'ERR unknown command',
    'MISCONF Redis is configured to save RDB snapshots',
  ])('is a refusal: %s', message => {
    expect(isReplyError(reply(message))).toBe(true)
  })

  it.each([
    'LOADING Redis is loading the dataset in memory',
    'BUSY Redis is busy running a script.',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'CLUSTERDOWN The cluster is down',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "READONLY You can't write against a read only replica.",
    'NOREPLICAS Not enough good replicas to write.',
    'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
  ])('only says not now: %s', message => {
    expect(isReplyError(reply(message))).toBe(false)
  })

  it('is no refusal when it is the link that broke', () => {
    expect([isReplyError(new Error('Connection is closed.')), isReplyError('text')]).toEqual([false, false])
  })

  it('can be that the script is unknown', () => {
    expect(isUnknownScript(reply('NOSCRIPT No matching script. Please use EVAL.'))).toBe(true)
    expect(isUnknownScript(reply('ERR NOSCRIPT'))).toBe(false)
    expect(isUnknownScript('NOSCRIPT')).toBe(false)
  })
})

describe('What a caller is told', () => {
  it('of a refusal is what Redis said, without the script that it was said of', () => {
    const cause = reply('WRONGTYPE Operation against a key script: 0a1b2c, on @user_script:19.')
    const error = refusal(cause)
    expect(error).toBeInstanceOf(RefusedError)
    expect(error).toMatchObject({
      code: 'HF_REFUSED',
      message: 'Redis refused: WRONGTYPE Operation against a key.',
      cause,
    })
    expect(cause).not.toHaveProperty('command')
  })

  it('of silence is where, for how long, and why as far as is known', () => {
    const cause = new Error('connect ECONNREFUSED 127.0.0.1:6379')
    const error = unavailable('127.0.0.1:6379', 2_000, cause)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error.message).toBe(
      'Redis at 127.0.0.1:6379 did not answer within 2000 ms: connect ECONNREFUSED 127.0.0.1:6379.',
    )
    expect(error.cause).toBe(cause)
    expect(unavailable('a:1', 50, undefined).message).toBe('Redis at a:1 did not answer within 50 ms.')
    expect(unavailable('a:1', 50, new AggregateError([])).message).toBe('Redis at a:1 did not answer within 50 ms.')
  })
})
