import { Redis } from 'ioredis'
import type { Publisher, StartReader } from './contestant.ts'
import type { Payload } from './payload.ts'
import { payloadOf } from './payload.ts'

/** SET and PUBLISH in one go. */
export async function rawRedisPublisher(url: string, sizeBytes: number): Promise<Publisher> {
  const client = new Redis(url)
  return {
    async publish(value) {
      const text = JSON.stringify(payloadOf(value, sizeBytes))
      await client.pipeline().set('raw-value', text).publish('raw-notice', String(value)).exec()
    },
    async [Symbol.asyncDispose]() {
      client.disconnect()
    },
  }
}

/** On the message a GET, and its JSON is parsed. Nothing is checked and nothing is kept. */
export const rawRedisReader: StartReader = async (url, applied) => {
  const [reader, listener] = [new Redis(url), new Redis(url)]
  await listener.subscribe('raw-notice')
  listener.on('message', () => {
    void reader.get('raw-value').then(text => applied((JSON.parse(text ?? '') as Payload).timeoutMs))
  })
}
