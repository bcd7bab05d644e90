import { checkName, show } from '@holdfast/core'

/** What gives away that a text says where something is, not what it is called; the first that fits. */
const ADDRESSES: readonly (readonly [string, (text: string) => boolean])[] = [
  ['a URL', text => /^(?:[a-z][a-z0-9+.-]*:)?\/\//i.test(text)],
  ['an IP address', isIpAddress],
  ['the address of this machine', text => /^localhost(?:[:/]|$)/i.test(text)],
  ['a host with a port', text => /:\d{1,5}(?=$|[/,;?#\s])/.test(text)],
  ['the path of a socket', text => /^(?:unix:|\/)/i.test(text)],
  ['a host with a path', text => /^[^/]+\.[^/]+\//.test(text)],
]

/**
 * Why a value cannot name a service that is depended on; undefined when it can. It says what the service is called: where it is, is
 * discovery's to say. A list names several.
 */
export function dependencyProblem(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.map(dependencyProblem).find(problem => problem !== undefined)
  if (typeof value !== 'string') return `expected the name of a service, got ${show(value)}`
  const kind = ADDRESSES.find(([, fits]) => value.split(/[,;\s]+/).some(fits) || fits(value))?.[0]
  if (kind !== undefined) {
    return `expected the name of a service, got ${kind}: ${show(value)}; where it is, discovery says`
  }
  return isName(value) ? undefined : `expected the name of a service, got ${show(value)}`
}

function isIpAddress(text: string): boolean {
  const host = text.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/(?:\/\d{1,3}|%\w+)$/, '')
  // Numbers with dots are one also in the short forms that system calls take: `127.1`, `2130706433`.
  return /^\d+(?:\.\d+){0,3}(?::\d+)?$/.test(host) || URL.canParse(`http://[${host}]`)
}

function isName(text: string): boolean {
  try {
    checkName('dependency', text)
    return true
  } catch {
    return false
  }
}
