import { connect, createServer } from 'node:net'

// Below the range that outgoing connections are given (32768 and up on Linux), so that while a server is down no
// client takes its port, nor connects to itself by chance.
const firstPort = 20_000
const lastPort = 31_999

/**
 * A loopback port that nobody listens on now.
 * @returns {Promise<number>}
 */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1))
    if (await isFree(port)) return port
  }
  throw new Error(`Found no free port from ${firstPort} to ${lastPort}`)
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/**
 * What a server answers to a line of text; an empty text where it does not answer.
 * @param {number} port
 * @param {string} question
 * @param {RegExp} complete what ends the answer
 * @returns {Promise<string>}
 */
export function ask(port, question, complete) {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect({ port, host: '127.0.0.1' })
    socket.setEncoding('utf8')
    socket.setTimeout(500, () => socket.destroy())
    socket.on('connect', () => socket.write(question))
    socket.on('data', text => {
      answer += text
      if (complete.test(answer)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}
