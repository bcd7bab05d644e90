import { promisify } from 'node:util'
import type { Client } from 'node-zookeeper-client'
import zookeeper from 'node-zookeeper-client'
import type { Contestant } from './contestant.ts'
import type { Payload } from './payload.ts'
import { payloadOf } from './payload.ts'

const PATH = '/raw-value'

/** setData; the reader has a watch, and reads with the next one. Nothing is checked and nothing is kept. */
export async function rawZooKeeper(address: string, sizeBytes: number): Promise<Contestant> {
  const [publisher, reader] = [await connect(address), await connect(address)]
  await promisify(publisher.mkdirp.bind(publisher))(PATH)
  let seen = (_value: number): void => {}
  const read = (): void => {
    reader.getData(PATH, read, (error, data) => {
      if (error || data === undefined || data.length === 0) return
      seen((JSON.parse(data.toString()) as Payload).timeoutMs)
    })
  }
  read()
  return {
    async publish(value) {
      const applied = new Promise<void>(resolve => {
        seen = got => {
          if (got === value) resolve()
        }
      })
      await new Promise<void>((resolve, reject) => {
        const data = Buffer.from(JSON.stringify(payloadOf(value, sizeBytes)))
        publisher.setData(PATH, data, -1, error => (error ? reject(error) : resolve()))
      })
      await applied
    },
    async [Symbol.asyncDispose]() {
      for (const client of [publisher, reader]) client.close()
    },
  }
}

async function connect(address: string): Promise<Client> {
  const client = zookeeper.createClient(address)
  await new Promise<void>(resolve => {
    client.once('connected', resolve)
    client.connect()
  })
  return client
}
