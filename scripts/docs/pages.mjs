// The pages of the documentation, and what stands in them.
import { readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root } from '../root.mjs'

/**
 * @typedef {object} CodeBlock
 * @property {string} page path from the root
 * @property {number} line of its first line of code
 * @property {string} language
 * @property {readonly string[]} words what else stands behind the language
 * @property {string} code
 */

/** @returns {string[]} every page, from the root */
export function pagePaths() {
  const inDocs = readdirSync(join(root, 'docs'), { recursive: true }).map(name => join('docs', String(name)))
  const inPackages = readdirSync(join(root, 'packages')).map(name => join('packages', name, 'README.md'))
  return ['README.md', ...inDocs.filter(path => path.endsWith('.md')).toSorted(), ...inPackages]
}

/** @param {string} path */
export function readPage(path) {
  return readFileSync(join(root, path), 'utf8')
}

/**
 * @param {string} page
 * @param {string} [text]
 * @returns {CodeBlock[]}
 */
export function codeBlocksOf(page, text = readPage(page)) {
  /** @type {CodeBlock[]} */
  const blocks = []
  for (const match of text.matchAll(/^```(\w*)([^\n]*)\n([^]*?)^```$/gm)) {
    const line = text.slice(0, match.index).split('\n').length + 1
    const words = (match[2] ?? '').trim().split(/\s+/).filter(Boolean)
    blocks.push({ page, line, language: match[1] ?? '', words, code: match[3] ?? '' })
  }
  return blocks
}

/** @param {string} text */
export function withoutCode(text) {
  return text.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '``')
}

/**
 * The anchors of a page's headings, as GitHub makes them.
 * @param {string} text
 */
export function anchorsOf(text) {
  const headings = text.replace(/^```[^]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/**
 * The links of a page that lead nowhere.
 * @param {string} page
 * @param {string} text
 * @param {(path: string) => string | undefined} read the text of a file; undefined where there is none
 */
export function brokenLinks(page, text, read) {
  /** @type {string[]} */
  const broken = []
  for (const [, target = ''] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page : relative(root, join(root, page, '..', path))
    const found = file === page ? text : read(file)
    if (found === undefined || (anchor !== undefined && !anchorsOf(found).includes(anchor))) broken.push(target)
  }
  return broken
}

/**
 * The rows of all tables of a page, cell by cell.
 * @param {string} text
 */
export function tableRowsOf(text) {
  const lines = text.split('\n').filter(line => line.startsWith('| ') && !/^\|[\s|:-]+\|$/.test(line))
  return lines.map(line =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map(cell => cell.trim().replaceAll('\\|', '|')),
  )
}
