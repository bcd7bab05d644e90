import { Redis } from 'ioredis'
import type { Contestant } from './contestant.ts'
import type { Payload } from './payload.ts'
import { payloadOf } from './payload.ts'

/** SET and PUBLISH in one go; on the message a GET, and its JSON is parsed. Nothing is checked and nothing is kept. */
export async function rawRedis(url: string, sizeBytes: number): Promise<Contestant> {
  const [publisher, reader, listener] = [new Redis(url), new Redis(url), new Redis(url)]
  await listener.subscribe('raw-notice')
  let seen = (_value: number): void => {}
  listener.on('message', () => {
    void reader.get('raw-value').then(text => seen((JSON.parse(text ?? '') as Payload).timeoutMs))
  })
  return {
    async publish(value) {
      const applied = new Promise<void>(resolve => {
        seen = got => {
          if (got === value) resolve()
        }
      })
      const text = JSON.stringify(payloadOf(value, sizeBytes))
      await publisher.pipeline().set('raw-value', text).publish('raw-notice', String(value)).exec()
      await applied
    },
    async [Symbol.asyncDispose]() {
      for (const client of [publisher, reader, listener]) client.disconnect()
    },
  }
}
