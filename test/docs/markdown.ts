// Markdown as these tests need it: prose without code and tables, headings as anchors, links, wrapped lines.

import { posix } from 'node:path'

const LINE = 120

/** Wraps a paragraph at 120 characters. */
export function wrapMarkdown(text: string): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > LINE) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join('\n')
}

/** The text without blocks of code, and as many lines as before. */
export function dropCodeBlocks(text: string): string {
  return text.replace(/^ *```[\s\S]*?^ *```$/gm, (block) => block.replace(/.*/g, ''))
}

/** What a reader reads: no code, no table, no comment, no address of a link. */
export function takeProse(text: string): string {
  return dropCodeBlocks(text)
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/^\|.*$/gm, '')
    .replace(/`[^`]*`/g, 'code')
    .replace(/\]\([^)]*\)/g, ']')
}

/** As GitHub names the headings of a page. */
export function listAnchors(text: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const [, title = ''] of dropCodeBlocks(text).matchAll(/^#+ +(.*)$/gm)) {
    const name = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    let anchor = name
    for (let i = 1; anchors.has(anchor); i++) anchor = `${name}-${i}`
    anchors.add(anchor)
  }
  return anchors
}

export interface Link {
  /** From the root of the repository; that of the page itself for a link within it. */
  readonly path: string
  readonly anchor: string | undefined
}

/** The links of a page to files of the repository. */
export function listLinks(page: string, text: string): readonly Link[] {
  return [
    ...dropCodeBlocks(text).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g),
  ].map(([, path = '', anchor]) => ({
    path: path === '' ? page : posix.join(posix.dirname(page), path),
    anchor,
  }))
}
