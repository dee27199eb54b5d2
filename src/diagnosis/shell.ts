// Words -> a line for a POSIX shell that means exactly these words. Pure.

/** A leading = would be expanded by zsh. */
const PLAIN = /^[\w@%+:,./-][\w@%+:,./=-]*$/
/**
 * A control character may end the line early, and others turn the text around: what is shown is then not what is typed.
 */
const UNPRINTABLE = /\p{C}|[^\S ]/u

/** Quotes a word; undefined for one that cannot be shown, and then must not be offered to be typed. */
export function quoteWord(word: string): string | undefined {
  if (PLAIN.test(word)) return word
  if (UNPRINTABLE.test(word)) return undefined
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** The line, or undefined where one of the words cannot be shown. */
export function renderCommand(words: readonly string[]): string | undefined {
  const quoted = words.map(quoteWord)
  return quoted.some((word) => word === undefined) ? undefined : quoted.join(' ')
}
