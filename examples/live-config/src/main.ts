// `npm run live-config [-- --backend redis|postgres|zookeeper]`: a service whose configuration changes while it serves.
import { parseArgs } from 'node:util'
import { openPlace } from './place.ts'
import { tellStory } from './story.ts'

const { values } = parseArgs({ options: { backend: { type: 'string', default: 'memory' } } })
const place = await openPlace(values.backend)
try {
  await tellStory(place.backend, line => void process.stdout.write(`${line}\n`))
} finally {
  await place.leave()
}
