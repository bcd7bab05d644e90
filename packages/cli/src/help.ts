import { EXIT } from './exit-codes.ts'
import type { OptionSpecs } from './option-specs.ts'
import { COMMON_OPTIONS } from './option-specs.ts'
import { table } from './output/table.ts'
import type { Command } from './session.ts'

/** What `holdfast config --help` prints. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, positionals, says }) => [`  ${name}`, positionals, says])
  return `Configuration from a shell: published, followed, rolled back.

  holdfast config COMMAND [options]

${table(rows)}

  holdfast config COMMAND --help tells its options, holdfast --version which one it is.

${EXIT_CODES}
`
}

/** What `holdfast config COMMAND --help` prints. */
export function helpOf({ name, positionals, says, more, options }: Command): string {
  const own = Object.keys(options).length === 0 ? '' : `${optionTable(options)}\n\n`
  return `holdfast config ${name}${positionals === '' ? '' : ` ${positionals}`} [options]

${says.charAt(0).toUpperCase()}${says.slice(1)}.${more === undefined ? '' : `\n${more}`}

${own}${optionTable(COMMON_OPTIONS)}

HOLDFAST_ZOOKEEPER_AUTH=user:password are credentials for ZooKeeper. HOLDFAST_SECRET_KEYS names a JSON file {"id": "base64", …} of keys
for secrets, the last of which encrypts. NO_COLOR turns colours off. Times are like 500ms, 10s, 5m.

${EXIT_CODES}
`
}

const EXIT_CODES = `Exit codes:\n${table(Object.values(EXIT).map(({ code, says }) => [`  ${code}`, says]))}`

function optionTable(specs: OptionSpecs): string {
  return table(
    Object.entries(specs).map(([name, { value, short, says }]) => [
      `  --${name}${value === undefined ? '' : ` ${value}`}${short === undefined ? '' : `, -${short}`}`,
      says,
    ]),
  )
}
