// A long list of pods in slices: JSON.parse() of 32 MiB would hold up scrapes for as long as it takes. Text -> the same
// pods as parsePodList() finds, one item after another, with a pause whenever a slice has taken its time.

import type { Pod } from '../sample.ts'
import { asListedPods, type ListedPod, parsePodList, withoutDoubles } from './pods.ts'

/** A list that short is parsed at once, in about 10 ms. */
const SHORT_CHARACTERS = 2 ** 20
const SLICE_MS = 5

export interface SlicesOptions {
  readonly shortCharacters?: number
  readonly sliceMs?: number
  readonly pause?: () => Promise<void>
}

/** Throws PodListError as parsePodList() does. A text that is no plain list is parsed as a whole. */
export async function parsePodListInSlices(
  text: string,
  {
    shortCharacters = SHORT_CHARACTERS,
    sliceMs = SLICE_MS,
    pause = () => new Promise((resolve) => setImmediate(resolve)),
  }: SlicesOptions = {},
): Promise<Pod[]> {
  if (text.length <= shortCharacters) return parsePodList(text)
  const steps = parsePodListInSteps(text)
  for (let sliceEndsAtMs = performance.now() + sliceMs; ; ) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() < sliceEndsAtMs) continue
    await pause()
    sliceEndsAtMs = performance.now() + sliceMs
  }
}

/** Parses as parsePodList() does, in steps, about one for each item. */
export function* parsePodListInSteps(text: string): Generator<undefined, Pod[], void> {
  const listed: ListedPod[] = []
  const items = splitItems(text)
  for (;;) {
    const { done, value } = items.next()
    if (done) {
      // What is around the items is checked as any other list.
      const isSound = value !== undefined && attempt(value) !== undefined
      return isSound ? withoutDoubles(listed) : parsePodList(text)
    }
    const found = value === '' ? [] : attempt(`{"kind":"PodList","items":[${value}]}`)
    if (found === undefined) return parsePodList(text)
    listed.push(...found)
    yield
  }
}

function attempt(list: string): readonly ListedPod[] | undefined {
  try {
    return asListedPods(list)
  } catch {
    return undefined
  }
}

/** Characters between two looks at the clock. */
const STEP_CHARACTERS = 65_536
const ITEMS_KEY = /^"items"\s*:\s*$/

/**
 * Yields the text of each object and each list in the array `items` of the outermost object, and nothing now and then
 * within a long one. Returns the text with null in the place of each, or undefined where it is not as simple as that.
 */
function* splitItems(text: string): Generator<string, string | undefined, void> {
  const token = /["{}[\]]/g
  let depth = 0
  let keyAt = 0
  let itemsAt = -1
  let itemsEndAt = -1
  let itemAt = 0
  const kept: string[] = []
  let keptFrom = 0
  let pausedAt = 0
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const at = found.index
    const isInItems = itemsAt >= 0 && itemsEndAt < 0
    if (found[0] === '"') {
      const end = endOfString(text, at)
      if (end < 0) return undefined
      if (depth === 1) {
        keyAt = at
        // Of two keys that are alike JSON.parse() takes the last, and a key may be written with escapes.
        const word = text.slice(at, end)
        if (word.includes('\\') || (word === '"items"' && itemsAt >= 0)) return undefined
      }
      token.lastIndex = end
    } else if (found[0] === '{' || found[0] === '[') {
      if (depth === 2 && isInItems) {
        kept.push(text.slice(keptFrom, at), 'null')
        itemAt = at
      }
      if (depth === 1 && found[0] === '[' && ITEMS_KEY.test(text.slice(keyAt, at))) {
        if (itemsAt >= 0) return undefined
        itemsAt = at + 1
      }
      depth++
    } else {
      depth--
      if (isInItems && depth === 2) {
        keptFrom = at + 1
        yield text.slice(itemAt, keptFrom)
      } else if (isInItems && depth === 1) {
        if (found[0] !== ']') return undefined
        itemsEndAt = at
      }
    }
    if (at - pausedAt > STEP_CHARACTERS) {
      pausedAt = at
      yield ''
    }
  }
  return itemsEndAt < 0 ? undefined : kept.join('') + text.slice(keptFrom)
}

/** The index behind the closing quote of the string that begins at `at`, -1 where there is none. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text[end - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return end + 1
  }
  return -1
}
