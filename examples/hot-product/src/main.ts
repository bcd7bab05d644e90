// `npm run hot-product`: a shop with a hot product, without protection and with it.
import { tellStory } from './story.ts'

await tellStory(line => void process.stdout.write(`${line}\n`))
