/**
 * Whoever reads a program's output may leave before its end, as `head` does: then it ends at once and quietly, with the exit code it
 * had come to by then. Everything else that goes wrong with a stream is thrown, as it is without a listener.
 * @param {Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exit'>} program
 */
export function endWhenUnread(program) {
  for (const stream of [program.stdout, program.stderr]) {
    stream.on('error', error => {
      if (!('code' in error) || error.code !== 'EPIPE') throw error
      program.exit()
    })
  }
}
