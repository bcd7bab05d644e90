import { promisify } from 'node:util'
import type { Client } from 'node-zookeeper-client'
import zookeeper from 'node-zookeeper-client'
import type { Publisher, StartReader } from './contestant.ts'
import type { Payload } from './payload.ts'
import { payloadOf } from './payload.ts'

const PATH = '/raw-value'

/** setData. */
export async function rawZooKeeperPublisher(address: string, sizeBytes: number): Promise<Publisher> {
  const client = await connect(address)
  await promisify(client.mkdirp.bind(client))(PATH)
  return {
    publish: value =>
      new Promise((resolve, reject) => {
        const data = Buffer.from(JSON.stringify(payloadOf(value, sizeBytes)))
        client.setData(PATH, data, -1, error => (error ? reject(error) : resolve()))
      }),
    async [Symbol.asyncDispose]() {
      client.close()
    },
  }
}

/** Has a watch, and reads with the next one. Nothing is checked and nothing is kept. */
export const rawZooKeeperReader: StartReader = async (address, applied) => {
  const client = await connect(address)
  const read = (): void => {
    client.getData(PATH, read, (error, data) => {
      if (error || data === undefined || data.length === 0) return
      applied((JSON.parse(data.toString()) as Payload).timeoutMs)
    })
  }
  read()
}

async function connect(address: string): Promise<Client> {
  const client = zookeeper.createClient(address)
  await new Promise<void>(resolve => {
    client.once('connected', resolve)
    client.connect()
  })
  return client
}
